//! Makes a profile ready: walks its snapshot beside R4's own tables and keeps what is more.

use std::sync::Arc;

use fhir::json::{Document, Limits};

use super::{
    Check, CheckAt, Profile, SliceCheck, SlicingCheck, Targets, ValueLimits, criteria, path,
};
use crate::base::{Base, Kid, Shape, ShapeAt, profiles_on};
use crate::error::ProfileError;
use crate::invariant::Invariant;
use crate::model::{
    Binding, Constraint, ConstraintSeverity, ElementType, Literal, SlicingRules,
    StructureDefinition, StructureKind, UNBOUNDED,
};
use crate::snapshot::Generator;
use crate::snapshot::tree::Node;
use crate::source::{Source, type_url};

/// Makes a profile ready.
///
/// # Errors
/// What is missing, circular, too large or does not fit.
pub fn profile(
    source: &dyn Source,
    definition: &StructureDefinition,
) -> Result<Profile, ProfileError> {
    let unknown = |detail: &str| ProfileError::Malformed {
        name: definition.url.clone(),
        detail: detail.to_owned(),
    };
    if definition.kind == StructureKind::Logical {
        return Err(unknown(
            "logical models describe no FHIR resource: name a profile",
        ));
    }
    let base = Base::r4();
    let shape = base
        .place(&definition.ty)
        .ok_or_else(|| unknown("its type is none of R4"))?;
    let mut generator = Generator::new(source);
    let mut compiler = Compiler {
        base,
        source,
        owner: &definition.url,
        checks: Vec::new(),
    };
    let (mut root, mut is_modifier) = (None, false);
    if definition.is_constraint {
        let tree = generator.tree(definition)?;
        is_modifier = tree.element.is_modifier == Some(true);
        let place = Place {
            kid: None,
            shape: Some(shape),
            outer: None,
        };
        root = compiler.element(&tree, place, &definition.ty)?;
    }
    let context_rule = |(expression, at): (&String, usize)| {
        Arc::new(Invariant::new(Constraint {
            key: format!("contextInvariant[{at}]"),
            severity: ConstraintSeverity::Error,
            human: "the extension does not fit where it stands".to_owned(),
            expression: Some(expression.clone()),
        }))
    };
    Ok(Profile {
        canonical: definition.canonical(),
        url: definition.url.clone(),
        ty: definition.ty.clone(),
        is_modifier,
        contexts: definition.contexts.clone(),
        context_invariants: definition
            .context_invariants
            .iter()
            .zip(0..)
            .map(context_rule)
            .collect(),
        checks: compiler.checks,
        root,
    })
}

/// Where an element stands in R4.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The element R4 has there.
    kid: Option<&'p Kid>,
    /// What it holds, where that is one type.
    shape: Option<ShapeAt>,
    /// For a slice: what it slices.
    outer: Option<&'p Node>,
}

struct Compiler<'c> {
    base: &'static Base,
    source: &'c dyn Source,
    owner: &'c str,
    checks: Vec<Check>,
}

impl Compiler<'_> {
    /// What is asked of an element, its children and its slices; none where it is nothing.
    fn element(
        &mut self,
        node: &Node,
        place: Place<'_>,
        id: &str,
    ) -> Result<Option<CheckAt>, ProfileError> {
        let mut check = self.own(node, place, id)?;
        for child in &node.children {
            let child_id = format!("{id}.{}", child.name);
            let (inner, form) = self.place_of(child, place.shape);
            let Some(at) = self.element(child, inner, &child_id)? else {
                continue;
            };
            if let (Some(kid), Some(made)) = (inner.kid, self.checks.get_mut(at.0 as usize)) {
                made.name.clone_from(&kid.name);
                made.is_choice = kid.is_choice;
                if let Some(form) = form.filter(|_| made.types.is_none()) {
                    made.types = Some(vec![form]);
                }
            }
            check.kids.push(at);
        }
        check.slicing = self.slicing(node, place, id)?;
        if is_nothing(&check) {
            return Ok(None);
        }
        let at = CheckAt(self.checks.len() as u32);
        self.checks.push(check);
        Ok(Some(at))
    }

    /// Where a child stands in R4; with the type of a choice that a narrowed snapshot calls by its form.
    fn place_of(&self, child: &Node, owner: Option<ShapeAt>) -> (Place<'static>, Option<String>) {
        let none = Place {
            kid: None,
            shape: None,
            outer: None,
        };
        let Some(shape) = owner.and_then(|at| self.base.shape(at)) else {
            return (none, None);
        };
        let stem = child.name.strip_suffix("[x]").unwrap_or(&child.name);
        if let Some(kid) = shape.kid(stem) {
            let shape = self.content(child, kid);
            return (
                Place {
                    kid: Some(kid),
                    shape,
                    outer: None,
                },
                None,
            );
        }
        let Some((kid, form)) = shape.member(&child.name) else {
            return (none, None);
        };
        let place = Place {
            kid: Some(kid),
            shape: Some(form),
            outer: None,
        };
        (place, self.base.shape(form).map(|shape| shape.name.clone()))
    }

    fn content(&self, node: &Node, kid: &Kid) -> Option<ShapeAt> {
        let only = match node.element.types.as_slice() {
            [only] => self.base.place(&only.code),
            _ => None,
        };
        let is_own = |at: &ShapeAt| {
            self.base
                .shape(*at)
                .is_some_and(|shape| shape.kind == crate::base::ShapeKind::Backbone)
        };
        match kid.forms.as_slice() {
            [form] if is_own(form) => Some(*form),
            [form] => only.or(Some(*form)),
            _ => only.or_else(|| self.base.place("Element")),
        }
    }

    fn own(&self, node: &Node, place: Place<'_>, id: &str) -> Result<Check, ProfileError> {
        let element = &node.element;
        let kid = place.kid.map(|kid| &kid.element);
        let shape = place.shape.and_then(|at| self.base.shape(at));
        let outer = place.outer.map(|outer| &outer.element);
        let is_slice = outer.is_some();
        let is_root = kid.is_none() && !is_slice;
        let was_min = if is_slice {
            0
        } else {
            kid.and_then(|kid| kid.min).unwrap_or_default()
        };
        let was_max = outer.or(kid).and_then(|was| was.max).unwrap_or(UNBOUNDED);
        let min = element.min.filter(|min| *min > was_min && !is_root);
        let max = element.max.filter(|max| *max < was_max && !is_root);
        let changed = |said: &Option<Literal>, was: Option<&Option<Literal>>| {
            said.clone()
                .filter(|said| was.and_then(Option::as_ref) != Some(said))
        };
        let fixed = changed(&element.fixed, outer.map(|outer| &outer.fixed));
        let pattern = changed(&element.pattern, outer.map(|outer| &outer.pattern));
        let stem = node.name.strip_suffix("[x]");
        Ok(Check {
            name: stem.unwrap_or(&node.name).to_owned(),
            id: id.to_owned(),
            is_choice: stem.is_some(),
            min: min.unwrap_or_default(),
            max: max.unwrap_or(UNBOUNDED),
            types: self.types(node, place),
            fixed: self.literal(fixed.as_ref(), id)?,
            pattern: self.literal(pattern.as_ref(), id)?,
            limits: self.limits(node, place, id)?,
            binding: binding(node, place),
            invariants: invariants(node, place, shape),
            profiles: profiles(node, place),
            targets: self.targets(node, place),
            kids: Vec::new(),
            slicing: None,
        })
    }

    fn literal(
        &self,
        literal: Option<&Literal>,
        id: &str,
    ) -> Result<Option<Arc<Document>>, ProfileError> {
        let Some(literal) = literal else {
            return Ok(None);
        };
        let bytes = literal.json.clone().into_bytes();
        let parsed = Document::parse(bytes, &Limits::default());
        parsed
            .map(|document| Some(Arc::new(document)))
            .map_err(|error| ProfileError::Malformed {
                name: self.owner.to_owned(),
                detail: format!("the value of {id} cannot be read: {error}"),
            })
    }

    fn limits(
        &self,
        node: &Node,
        place: Place<'_>,
        id: &str,
    ) -> Result<Option<Box<ValueLimits>>, ProfileError> {
        let element = &node.element;
        let known = |ty: &&ElementType| match place.kid {
            Some(kid) => kid.element.types.iter().all(|was| was.regex != ty.regex),
            None => true,
        };
        let regex = element
            .types
            .iter()
            .filter(known)
            .find_map(|ty| ty.regex.as_ref());
        let regex = regex.filter(|_| element.types.len() == 1);
        let regex = regex
            .map(|text| {
                regex::RegexBuilder::new(&format!("^(?:{text})$"))
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|_| ProfileError::Malformed {
                        name: self.owner.to_owned(),
                        detail: format!("the regular expression of {id} is not one, or too large"),
                    })
            })
            .transpose()?;
        let limits = ValueLimits {
            max_length: element.max_length,
            min: element.min_value.clone(),
            max: element.max_value.clone(),
            regex,
        };
        let is_something = limits.max_length.is_some()
            || limits.min.is_some()
            || limits.max.is_some()
            || limits.regex.is_some();
        Ok(is_something.then(|| Box::new(limits)))
    }

    /// The types left of a choice, or of a member that holds any resource.
    fn types(&self, node: &Node, place: Place<'_>) -> Option<Vec<String>> {
        let kid = place.kid?;
        let codes: Vec<String> = node
            .element
            .types
            .iter()
            .map(|ty| ty.code.clone())
            .collect();
        let any = self.base.place("Resource");
        let holds_any = matches!(kid.forms.as_slice(), [form] if Some(*form) == any);
        let fewer = kid.is_choice && codes.len() < kid.element.types.len();
        let narrower = holds_any && !codes.iter().any(|code| code == "Resource");
        (!codes.is_empty() && (fewer || narrower)).then_some(codes)
    }

    fn targets(&self, node: &Node, place: Place<'_>) -> Option<Targets> {
        let said = node
            .element
            .types
            .iter()
            .find(|ty| ty.code == "Reference")?;
        let was = place
            .outer
            .map(|outer| &outer.element)
            .or(place.kid.map(|kid| &kid.element));
        let was = was.and_then(|was| was.types.iter().find(|ty| ty.code == "Reference"));
        let same = was
            .is_some_and(|was| was.targets == said.targets && was.aggregation == said.aggregation);
        if same || (said.targets.is_empty() && said.aggregation.is_empty()) {
            return None;
        }
        let profiles = said.targets.iter().map(|target| {
            let found = self.source.structure(&type_url(target));
            let ty = found.map(|found| found.ty.clone()).unwrap_or_default();
            (target.clone(), ty)
        });
        Some(Targets {
            profiles: profiles.collect(),
            aggregation: said.aggregation.clone(),
        })
    }

    fn slicing(
        &mut self,
        node: &Node,
        place: Place<'_>,
        id: &str,
    ) -> Result<Option<Box<SlicingCheck>>, ProfileError> {
        let Some(slicing) = node.element.slicing.as_ref() else {
            return Ok(None);
        };
        let mut slices = Vec::new();
        for slice in &node.slices {
            let name = slice.element.slice_name.clone().unwrap_or_default();
            let inner = Place {
                kid: place.kid,
                shape: place
                    .kid
                    .map_or(place.shape, |kid| self.content(slice, kid)),
                outer: Some(node),
            };
            let plain = id
                .rsplit_once(':')
                .filter(|_| node.element.slice_name.is_some());
            let plain = plain.map_or(id, |(plain, _)| plain);
            let check = self.element(slice, inner, &format!("{plain}:{name}"))?;
            let mut criteria = Vec::new();
            for discriminator in &slicing.discriminators {
                criteria.push(criteria::criterion(
                    self.source,
                    self.owner,
                    slice,
                    discriminator,
                )?);
            }
            slices.push(SliceCheck {
                name,
                criteria,
                check,
            });
        }
        let matters = slicing.rules != SlicingRules::Open
            || slicing.ordered
            || slices.iter().any(|slice| slice.check.is_some());
        if !matters || (slices.is_empty() && slicing.rules == SlicingRules::Open) {
            return Ok(None);
        }
        let mut discriminators = Vec::new();
        for one in &slicing.discriminators {
            discriminators.push((one.kind, path::parse(&one.path, self.owner)?));
        }
        Ok(Some(Box::new(SlicingCheck {
            rules: slicing.rules,
            ordered: slicing.ordered,
            discriminators,
            slices,
        })))
    }
}

fn is_nothing(check: &Check) -> bool {
    check.min == 0
        && check.max == UNBOUNDED
        && check.types.is_none()
        && check.fixed.is_none()
        && check.pattern.is_none()
        && check.limits.is_none()
        && check.binding.is_none()
        && check.invariants.is_empty()
        && check.profiles.is_empty()
        && check.targets.is_none()
        && check.kids.is_empty()
        && check.slicing.is_none()
}

fn binding(node: &Node, place: Place<'_>) -> Option<Binding> {
    let said = node.element.binding.as_ref()?;
    said.value_set.as_ref().or(said.max_value_set.as_ref())?;
    let was = place
        .outer
        .map(|outer| &outer.element)
        .or(place.kid.map(|kid| &kid.element));
    let was = was.and_then(|was| was.binding.as_ref());
    let url = |binding: &Binding| {
        let set = binding.value_set.as_deref().unwrap_or_default();
        crate::source::split(set).0.to_owned()
    };
    let same = was.is_some_and(|was| {
        was.strength >= said.strength
            && url(was) == url(said)
            && was.max_value_set == said.max_value_set
    });
    (!same).then(|| said.clone())
}

fn invariants(node: &Node, place: Place<'_>, shape: Option<&Shape>) -> Vec<Arc<Invariant>> {
    let of_kid = place
        .kid
        .into_iter()
        .flat_map(|kid| &kid.element.constraints);
    let of_outer = place
        .outer
        .into_iter()
        .flat_map(|outer| &outer.element.constraints);
    let known: Vec<&str> = of_kid
        .chain(of_outer)
        .map(|one| one.key.as_str())
        .chain(crate::base::OF_THE_GATE)
        .chain(
            shape
                .into_iter()
                .flat_map(|shape| &shape.invariants)
                .map(|one| one.key()),
        )
        .collect();
    let said = node.element.constraints.iter();
    said.filter(|one| !known.contains(&one.key.as_str()))
        .map(|one| Arc::new(Invariant::new(one.clone())))
        .collect()
}

fn profiles(node: &Node, place: Place<'_>) -> Vec<(String, Vec<String>)> {
    let was = place
        .outer
        .map(|outer| &outer.element)
        .or(place.kid.map(|kid| &kid.element));
    let was = was.map_or(&[][..], |was| was.types.as_slice());
    let said = node
        .element
        .types
        .iter()
        .filter(|ty| !ty.profiles.is_empty());
    said.filter(|ty| profiles_on(was, &ty.code) != ty.profiles)
        .map(|ty| (ty.code.clone(), ty.profiles.clone()))
        .collect()
}
