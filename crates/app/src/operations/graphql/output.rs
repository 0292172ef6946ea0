//! The answer being put together: fields in order, which become lists where elements are flattened into
//! what holds them (FHIR R4 graphql.html, list manipulation directives). Pure.

use serde_json::{Map, Value as Json};

/// One field of an answer.
#[derive(Debug, Clone)]
struct Entry {
    key: String,
    values: Vec<Json>,
    list: bool,
    singleton: bool,
}

/// An object of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Out {
    entries: Vec<Entry>,
}

/// How a field's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// As a list.
    pub list: bool,
    /// As one value, also where it was flattened.
    pub singleton: bool,
}

impl Out {
    /// Adds values of a field; more of the same make a list.
    pub(super) fn add(&mut self, key: &str, values: Vec<Json>, manner: Manner) {
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                entry.values.extend(values);
                entry.list |= manner.list || entry.values.len() > 1;
                entry.singleton |= manner.singleton;
            }
            None => self.entries.push(Entry {
                key: key.to_owned(),
                values,
                list: manner.list,
                singleton: manner.singleton,
            }),
        }
    }

    /// How many fields it has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts the fields of a flattened element among these; `slice` stands behind their names.
    pub(super) fn flatten(&mut self, inner: Self, slice: Option<&str>) {
        for entry in inner.entries {
            let key = match slice {
                Some(slice) => format!("{}.{slice}", entry.key),
                None => entry.key,
            };
            let manner = Manner {
                list: !entry.singleton,
                singleton: entry.singleton,
            };
            self.add(&key, entry.values, manner);
        }
    }

    /// The object. The names of fields that were to be one value and are several go to `several`.
    pub(super) fn finish(self, several: &mut Vec<String>) -> Json {
        let mut object = Map::new();
        for entry in self.entries {
            let value = if entry.singleton {
                if entry.values.len() > 1 {
                    several.push(entry.key.clone());
                }
                entry.values.into_iter().next().unwrap_or(Json::Null)
            } else if entry.list {
                Json::Array(entry.values)
            } else {
                entry.values.into_iter().next().unwrap_or(Json::Null)
            };
            object.insert(entry.key, value);
        }
        Json::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flattened_fields_become_lists_but_for_singletons() {
        let one = Manner {
            list: false,
            singleton: false,
        };
        let single = Manner {
            list: false,
            singleton: true,
        };
        let mut parent = Out::default();
        parent.add("id", vec![json!("p")], one);
        for (family, text) in [("Quinn", "a"), ("Price", "b")] {
            let mut name = Out::default();
            name.add("family", vec![json!(family)], one);
            name.add("text", vec![json!(text)], single);
            parent.flatten(name, None);
        }
        let mut named = Out::default();
        named.add("family", vec![json!("X")], one);
        parent.flatten(named, Some("old"));
        let mut several = Vec::new();
        let made = parent.finish(&mut several);
        assert_eq!(
            made,
            json!({ "id": "p", "family": ["Quinn", "Price"], "text": "a", "family.old": ["X"] })
        );
        assert_eq!(several, ["text"]);
    }
}
