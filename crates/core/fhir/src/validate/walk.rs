//! The walk over a resource, beside the tables of its type. Each object is read once, member by member;
//! nothing is allocated for what is valid. Must not stop at the first issue.

use super::path::Path;
use super::primitive;
use super::reference::Container;
use super::{Issue, MAX_ISSUES, Severity};
use crate::definitions::pack::{ATTRIBUTE, CHOICE, Content, MANY, PROHIBITED, Primitive};
use crate::definitions::{Class, Definitions, Form, Shape, Slot};
use crate::json::{Kind, Value};

pub(super) struct Walk<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) container: Container<'a>,
    issues: Vec<Issue>,
    more: bool,
}

/// A member and where it stands.
#[derive(Clone, Copy)]
struct Member<'a> {
    form: &'a Form,
    slot: &'a Slot,
    /// The object that holds it.
    owner: Value<'a>,
}

/// What an object holds so far.
#[derive(Default)]
struct Seen<'a> {
    /// Bits of its elements.
    slots: u64,
    /// The last member of a choice.
    chosen: &'a str,
}

impl<'a> Walk<'a> {
    pub(super) fn new(definitions: &'a Definitions) -> Self {
        Self {
            definitions,
            container: Container::default(),
            issues: Vec::new(),
            more: false,
        }
    }

    pub(super) fn finish(mut self) -> Vec<Issue> {
        if self.more {
            self.issues.push(Issue {
                severity: Severity::Information,
                code: "informational",
                expression: String::new(),
                diagnostics: "there are more issues: mend these and send the resource again"
                    .to_owned(),
            });
        }
        self.issues
    }

    #[cold]
    pub(super) fn add(&mut self, code: &'static str, path: &Path<'_>, diagnostics: String) {
        if self.is_full() {
            self.more = true;
            return;
        }
        let expression = path.to_string();
        self.issues.push(Issue {
            severity: Severity::Error,
            code,
            expression,
            diagnostics,
        });
    }

    fn is_full(&self) -> bool {
        self.issues.len() + 1 >= MAX_ISSUES
    }

    pub(super) fn root(&mut self, resource: Value<'a>) {
        let name = resource
            .get_str("resourceType")
            .and_then(|name| self.definitions.resource(&name));
        let name = name.map_or("Resource", |ty| self.definitions.resource_name(ty));
        self.resource(resource, &Path::root(name), false);
    }

    /// A resource of any type. Its references by `#` are to what it contains; a contained one shares
    /// the list of its container.
    fn resource(&mut self, value: Value<'a>, path: &Path<'_>, is_contained: bool) {
        let Some(shape) = self.shape_of(value, path) else {
            return;
        };
        if is_contained {
            return self.object(value, shape, path, true);
        }
        let inside = Container::of(self.definitions, value);
        let outside = core::mem::replace(&mut self.container, inside);
        self.object(value, shape, path, true);
        self.unused_contained(path);
        self.container = outside;
    }

    fn shape_of(&mut self, value: Value<'a>, path: &Path<'_>) -> Option<&'a Shape> {
        if value.kind() != Kind::Object {
            let text = format!(
                "a resource is an object, not {}: send one with a resourceType",
                value.kind().article()
            );
            self.add("structure", path, text);
            return None;
        }
        let at = path.member("resourceType");
        let Some(name) = value.get("resourceType") else {
            self.add(
                "required",
                &at,
                "every resource says its type: add resourceType".to_owned(),
            );
            return None;
        };
        let Some(name) = name.as_str() else {
            self.add(
                "structure",
                &at,
                "resourceType is a string: put it in double quotes".to_owned(),
            );
            return None;
        };
        let ty = self.definitions.resource(&name);
        if ty.is_none() {
            let name: String = name.chars().take(60).collect();
            self.add(
                "value",
                &at,
                format!("{name:?} is no R4 resource type: send one that is"),
            );
        }
        self.definitions.shape_of(ty?)
    }

    /// The members of an object. `has_content` says that it may lack members of its own: resources, and
    /// the `_member` object of a value.
    fn object(&mut self, value: Value<'a>, shape: &'a Shape, path: &Path<'_>, has_content: bool) {
        let is_resource = has_content && shape.name != "Element";
        if value.is_empty() {
            return self.add(
                "structure",
                path,
                "an empty object says nothing: fill it or leave it out".to_owned(),
            );
        }
        let mut seen = Seen::default();
        for (key, member) in value.members() {
            if self.is_full() {
                self.more = true;
                return;
            }
            if is_resource && key == "resourceType" {
                continue;
            }
            let (name, is_sibling) = match key.strip_prefix('_') {
                Some(name) => (name, true),
                None => (&*key, false),
            };
            let found = shape
                .form(name)
                .and_then(|form| Some((form, shape.slots.get(usize::from(form.slot))?)))
                .filter(|(form, slot)| !is_sibling || takes_sibling(form, slot));
            let Some((form, slot)) = found else {
                self.unknown(&key, shape, path);
                continue;
            };
            let path = self.enter(shape, form, slot, value, &mut seen, path.member(slot.name));
            let place = Member {
                form,
                slot,
                owner: value,
            };
            if is_sibling {
                self.sibling(place, member, path);
            } else {
                self.member(place, member, path);
            }
        }
        self.after(value, shape, seen.slots, has_content, path);
    }

    /// What can be told of a member before its value is looked at. Gives its path, with the type of a
    /// choice.
    fn enter<'p>(
        &mut self,
        shape: &'a Shape,
        form: &'a Form,
        slot: &Slot,
        owner: Value<'a>,
        seen: &mut Seen<'a>,
        path: Path<'p>,
    ) -> Path<'p>
    where
        'a: 'p,
    {
        let bit = 1 << form.slot;
        let was_seen = seen.slots & bit != 0;
        seen.slots |= bit;
        if slot.is(PROHIBITED) {
            let text = format!("{} is not used here: remove it", slot.name);
            self.add("structure", &path, text);
        }
        if !slot.is(CHOICE) {
            return path;
        }
        if was_seen && seen.chosen != form.name {
            self.second_choice(shape, form, owner, &path);
        }
        seen.chosen = form.name;
        path.of_type(self.definitions.content_name(form.content))
    }

    /// What can be told only when all members are known.
    fn after(
        &mut self,
        value: Value<'a>,
        shape: &'a Shape,
        seen: u64,
        has_content: bool,
        path: &Path<'_>,
    ) {
        let missing = shape.required & !seen;
        if missing != 0 {
            for (at, slot) in shape.slots.iter().enumerate() {
                if missing & 1 << at != 0 {
                    self.missing(shape, slot, path);
                }
            }
        }
        if shape.class == Class::Extension {
            let has = |name: &str| {
                let slots = shape.slots.iter().enumerate();
                slots.fold(false, |has, (at, slot)| {
                    has || (slot.name == name && seen & 1 << at != 0)
                })
            };
            if has("value") == has("extension") {
                let text = "an extension has either a value or extensions of its own: send exactly one of them";
                self.add("invariant", path, text.to_owned());
            }
        } else if !has_content && value.len() == 1 && value.get("id").is_some() {
            let text = "an element with an id alone says nothing: give it a value, children or an extension";
            self.add("invariant", path, text.to_owned());
        }
    }

    fn missing(&mut self, shape: &Shape, slot: &Slot, path: &Path<'_>) {
        let text = if slot.is(CHOICE) {
            let names: Vec<_> = shape
                .forms_of(slot)
                .iter()
                .take(8)
                .map(|form| form.name)
                .collect();
            format!("{} is required: add one of {}", slot.name, names.join(", "))
        } else {
            format!("{} is required: add it", slot.name)
        };
        self.add("required", &path.member(slot.name), text);
    }

    /// A second form of a choice, unless it is the value or the sibling of one already there.
    fn second_choice(&mut self, shape: &'a Shape, form: &Form, owner: Value<'a>, path: &Path<'_>) {
        let Some(slot) = shape.slots.get(usize::from(form.slot)) else {
            return;
        };
        let is_there = |other: &&Form| {
            other.name != form.name
                && owner
                    .members()
                    .any(|(key, _)| key.strip_prefix('_').unwrap_or(&key) == other.name)
        };
        if let Some(other) = shape.forms_of(slot).iter().find(is_there) {
            let text = format!(
                "{} and {} are the same element: send one of them",
                other.name, form.name
            );
            self.add("structure", path, text);
        }
    }

    fn unknown(&mut self, key: &str, shape: &Shape, path: &Path<'_>) {
        let shown: String = key.chars().take(60).collect();
        let name = key.strip_prefix('_').unwrap_or(key);
        let like = shape
            .forms()
            .iter()
            .find(|form| form.name.eq_ignore_ascii_case(name));
        let choice = shape.slots.iter().find(|slot| {
            let rest = name.strip_prefix(slot.name);
            slot.is(CHOICE)
                && rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
        });
        let remedy = match (like, choice) {
            (Some(form), _) if form.name != name => format!("write it {}", form.name),
            (Some(_), _) => "only primitive elements have such a member".to_owned(),
            (None, Some(slot)) => {
                let names: Vec<_> = shape
                    .forms_of(slot)
                    .iter()
                    .take(12)
                    .map(|form| form.name)
                    .collect();
                format!("use one of {}", names.join(", "))
            }
            _ => "remove it, or send it as an extension".to_owned(),
        };
        let text = format!("{shown:?} is no element of {}: {remedy}", shape.name);
        self.add("structure", &path.member(&shown), text);
    }

    fn member(&mut self, member: Member<'a>, value: Value<'a>, path: Path<'_>) {
        let name = member.form.name;
        match (member.slot.is(MANY), value.kind()) {
            (true, Kind::Array) if value.is_empty() => {
                self.add(
                    "structure",
                    &path,
                    "an empty array says nothing: leave it out".to_owned(),
                );
            }
            (true, Kind::Array) => {
                for (index, item) in value.items().enumerate() {
                    if self.is_full() {
                        self.more = true;
                        return;
                    }
                    self.item(member, index, item, &path.item(index));
                }
            }
            (true, kind) => {
                let text = format!(
                    "{name} repeats, so it is an array, not {}: put it in brackets",
                    kind.article()
                );
                self.add("structure", &path, text);
            }
            (false, Kind::Array) => {
                let text = format!("{name} does not repeat: send its one value without brackets");
                self.add("structure", &path, text);
            }
            (false, _) => self.value(member, value, &path),
        }
    }

    fn item(&mut self, member: Member<'a>, index: usize, item: Value<'a>, path: &Path<'_>) {
        if item.kind() == Kind::Null && matches!(member.form.content, Content::Primitive(_)) {
            let sibling = member.owner.get(&format!("_{}", member.form.name));
            let other = sibling.and_then(|items| items.items().nth(index));
            if other.is_none_or(|other| other.kind() == Kind::Null) {
                let text = format!(
                    "null stands only where _{} has an object: remove it",
                    member.form.name
                );
                self.add("structure", path, text);
            }
            return;
        }
        if member.form.content == Content::Resource && member.slot.name == "contained" {
            self.contained(index, item, path);
            self.container.enter(index);
            self.resource(item, path, true);
            self.container.leave();
            return;
        }
        self.value(member, item, path);
    }

    /// One value, not an array.
    fn value(&mut self, member: Member<'a>, value: Value<'a>, path: &Path<'_>) {
        let kind = value.kind();
        match member.form.content {
            _ if kind == Kind::Null => {
                self.add(
                    "structure",
                    path,
                    "null is no value: leave the element out".to_owned(),
                );
            }
            Content::Primitive(primitive) => self.primitive(member, primitive, value, path),
            Content::Resource => self.resource(value, path, false),
            Content::Shape(at) => {
                let Some(shape) = self.definitions.shape(at) else {
                    return;
                };
                if kind != Kind::Object {
                    let text = format!(
                        "{} is an object of type {}, not {}",
                        member.slot.name,
                        shape.name,
                        kind.article()
                    );
                    return self.add("structure", path, text);
                }
                self.object(value, shape, path, false);
                match (shape.class, member.slot.binding) {
                    (Class::Reference, _) => {
                        let targets = self.definitions.targets(member.form.targets);
                        self.reference(value, targets, path);
                    }
                    (Class::CodeableConcept, Some(binding)) => {
                        self.bound_concept(binding, value, path);
                    }
                    (Class::Coding, Some(binding)) => self.bound_coding(binding, value, path),
                    _ => {}
                }
            }
        }
    }

    fn primitive(
        &mut self,
        member: Member<'a>,
        primitive: Primitive,
        value: Value<'a>,
        path: &Path<'_>,
    ) {
        if let Err((code, complaint)) = primitive::check(primitive, value) {
            return self.add(code, path, complaint.to_owned());
        }
        if let Some(binding) = member.slot.binding {
            self.bound_code(binding, value, path);
        }
        let may_refer = matches!(
            primitive,
            Primitive::Canonical | Primitive::Uri | Primitive::Url
        );
        if may_refer && value.raw().starts_with(b"\"#") {
            let text = value.as_str().unwrap_or_default();
            self.container.refer(text.trim_start_matches('#'));
        }
    }

    /// The `_member` of a primitive: its id and extensions, aligned with its values.
    fn sibling(&mut self, member: Member<'a>, value: Value<'a>, path: Path<'_>) {
        let name = member.form.name;
        let values = member.owner.get(name);
        if !member.slot.is(MANY) {
            let has_value = values.is_some();
            return self.element(value, has_value, &path);
        }
        if value.kind() != Kind::Array || value.is_empty() {
            let text = format!(
                "{name} repeats, so _{name} is an array with an object or null for each value"
            );
            return self.add("structure", &path, text);
        }
        if values.is_some_and(|values| values.kind() == Kind::Array && values.len() != value.len())
        {
            let text =
                format!("{name} and _{name} differ in length: fill the shorter one with null");
            self.add("structure", &path, text);
        }
        let mut values = values.into_iter().flat_map(Value::items);
        for (index, item) in value.items().enumerate() {
            let has_value = values
                .next()
                .is_some_and(|value| value.kind() != Kind::Null);
            if item.kind() != Kind::Null {
                self.element(item, has_value, &path.item(index));
            } else if !has_value {
                let text = format!("null stands only where {name} has a value: remove it");
                self.add("structure", &path.item(index), text);
            }
        }
    }

    fn element(&mut self, value: Value<'a>, has_value: bool, path: &Path<'_>) {
        let Some(shape) = self.definitions.element_shape() else {
            return;
        };
        if value.kind() == Kind::Object {
            self.object(value, shape, path, has_value);
        } else {
            let text = format!(
                "the id and extensions of a value are an object, not {}",
                value.kind().article()
            );
            self.add("structure", path, text);
        }
    }
}

/// Whether the member has a `_member`: primitives that may hold an id and extensions.
fn takes_sibling(form: &Form, slot: &Slot) -> bool {
    matches!(form.content, Content::Primitive(_)) && !slot.is(ATTRIBUTE)
}
