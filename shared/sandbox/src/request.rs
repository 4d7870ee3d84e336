//! Reading a download request as GBIF does (gbif/gbif-api `DownloadRequestSerde`, `predicate/*`).

use serde_json::{Map, Value, json};

/// Why a request is refused, with the text that GBIF's service would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 400
    Invalid(String),
    /// 401
    Creator(String),
    /// 413
    TooLarge(String),
}

/// A request that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// As the status will show it to its owner.
    pub(crate) stored: Map<String, Value>,
    /// What de-duplication compares: format, type, predicate, SQL; neither the top-level checklist nor the extensions.
    pub(crate) compared: Value,
    /// `DATASET_KEY` values named anywhere outside a `not`.
    pub(crate) dataset_keys: Vec<String>,
}

const PROPERTIES: [&str; 16] = [
    "creator",
    "notificationAddresses",
    "notificationAddress",
    "notification_addresses",
    "notification_address",
    "sendNotification",
    "send_notification",
    "format",
    "predicate",
    "sql",
    "verbatimExtensions",
    "interpretedExtensions",
    "checklistKey",
    "description",
    "machineDescription",
    "type",
];

const FORMATS: [&str; 5] = ["DWCA", "SIMPLE_CSV", "SIMPLE_PARQUET", "SPECIES_LIST", "SQL_TSV_ZIP"];

/// Predicate items and polygon points that GBIF accepts at most (gbif/occurrence `DownloadLimits`).
const MAX_ITEMS: usize = 101_000;
const MAX_POINTS: usize = 10_000;

/// Reads the body of a POST by `user`.
pub(crate) fn read(body: &[u8], user: &str) -> Result<Asked, Refused> {
    let invalid = |text: String| Refused::Invalid(text);
    let value: Value = serde_json::from_slice(body).map_err(|error| invalid(format!("JSON parse error: {error}")))?;
    let Value::Object(body) = value else { return Err(invalid("JSON parse error: an object is expected".to_owned())) };
    if let Some(unknown) = body.keys().find(|name| !PROPERTIES.contains(&name.as_str()) && *name != "created") {
        return Err(invalid(format!("Unknown JSON property '{unknown}'.")));
    }
    let creator = body.get("creator").and_then(Value::as_str).unwrap_or(user);
    if creator != user {
        return Err(Refused::Creator(format!("{user} not allowed to create a download with creator {creator}")));
    }
    if body.contains_key("sql") && body.contains_key("predicate") {
        return Err(invalid("A request has either a predicate or SQL".to_owned()));
    }
    let mut tally = Tally::default();
    let predicate = match body.get("predicate") {
        None | Some(Value::Null) => None,
        Some(predicate) => Some(tally.predicate(predicate, false).map_err(invalid)?),
    };
    if tally.items > MAX_ITEMS || tally.points > MAX_POINTS {
        return Err(Refused::TooLarge(format!(
            "A download limitation is exceeded:\nThe request has {} predicate items and {} points; the limits are {MAX_ITEMS} and {MAX_POINTS}.\n",
            tally.items, tally.points
        )));
    }
    let format = body
        .get("format")
        .and_then(Value::as_str)
        .and_then(|format| FORMATS.into_iter().find(|known| *known == format))
        .unwrap_or("DWCA");
    let compared = json!({"format": format, "predicate": predicate, "sql": body.get("sql")});
    Ok(Asked { stored: stored(&body, user, format, predicate), compared, dataset_keys: tally.dataset_keys })
}

fn stored(body: &Map<String, Value>, user: &str, format: &str, predicate: Option<Value>) -> Map<String, Value> {
    let first = |names: &[&str]| names.iter().find_map(|name| body.get(*name)).cloned();
    let mut stored = Map::new();
    stored.insert("creator".to_owned(), user.into());
    stored.insert("format".to_owned(), format.into());
    stored.insert("type".to_owned(), "OCCURRENCE".into());
    let send = first(&["sendNotification", "send_notification"]).unwrap_or(false.into());
    stored.insert("sendNotification".to_owned(), send);
    stored.insert("verbatimExtensions".to_owned(), first(&["verbatimExtensions"]).unwrap_or_else(|| json!([])));
    let addresses =
        first(&["notificationAddresses", "notificationAddress", "notification_addresses", "notification_address"]);
    let optional = [
        ("predicate", predicate),
        ("notificationAddresses", addresses),
        ("sql", first(&["sql"])),
        ("interpretedExtensions", first(&["interpretedExtensions"])),
        ("checklistKey", first(&["checklistKey"])),
        ("description", first(&["description"])),
        ("machineDescription", first(&["machineDescription"])),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            stored.insert(name.to_owned(), value);
        }
    }
    stored
}

/// What is counted while the predicate is walked.
#[derive(Debug, Default)]
struct Tally {
    items: usize,
    points: usize,
    dataset_keys: Vec<String>,
}

impl Tally {
    /// Checks a predicate and gives it back as the service echoes it, with `matchCase` filled in.
    fn predicate(&mut self, value: &Value, negated: bool) -> Result<Value, String> {
        let object = value.as_object().ok_or("A predicate must be an object")?;
        let kind = object.get("type").and_then(Value::as_str).ok_or("A predicate needs a type")?;
        let (needed, optional): (&[&str], &[&str]) = match kind {
            "and" | "or" => (&["predicates"], &[]),
            "not" => (&["predicate"], &[]),
            "equals" | "like" => (&["key", "value"], &["matchCase", "checklistKey"]),
            "lessThan" | "lessThanOrEquals" | "greaterThan" | "greaterThanOrEquals" => {
                (&["key", "value"], &["matchCase", "checklistKey"])
            }
            "in" => (&["key", "values"], &["matchCase", "checklistKey"]),
            "isNull" | "isNotNull" => (&["parameter"], &["checklistKey"]),
            "within" => (&["geometry"], &[]),
            "geoDistance" => (&["latitude", "longitude", "distance"], &[]),
            other => return Err(format!("Could not resolve predicate type '{other}'")),
        };
        for name in needed {
            if !object.contains_key(*name) {
                return Err(format!("Predicate {kind} lacks {name}"));
            }
        }
        if let Some(name) = object
            .keys()
            .find(|name| *name != "type" && !needed.contains(&name.as_str()) && !optional.contains(&name.as_str()))
        {
            return Err(format!("Unknown JSON property '{name}' in predicate {kind}"));
        }
        let mut echoed = object.clone();
        match kind {
            "and" | "or" => {
                let children = object["predicates"].as_array().filter(|children| !children.is_empty());
                let children = children.ok_or_else(|| format!("Predicate {kind} needs at least one predicate"))?;
                let children: Result<Vec<_>, _> = children.iter().map(|child| self.predicate(child, negated)).collect();
                echoed.insert("predicates".to_owned(), children?.into());
            }
            "not" => {
                let child = self.predicate(&object["predicate"], !negated)?;
                echoed.insert("predicate".to_owned(), child);
            }
            "in" => {
                let values = object["values"].as_array().filter(|values| !values.is_empty());
                let values = values.ok_or("Predicate in needs at least one value")?;
                self.items += values.len();
                self.name_datasets(object, values, negated);
            }
            "within" => {
                self.items += 1;
                self.points += polygon_points(object["geometry"].as_str().unwrap_or(""))?;
            }
            "equals" => {
                self.items += 1;
                self.name_datasets(object, std::slice::from_ref(&object["value"]), negated);
            }
            _ => self.items += 1,
        }
        if object.contains_key("key") {
            echoed.entry("matchCase").or_insert(false.into());
        }
        Ok(echoed.into())
    }

    fn name_datasets(&mut self, object: &Map<String, Value>, values: &[Value], negated: bool) {
        if !negated && object.get("key").and_then(Value::as_str) == Some("DATASET_KEY") {
            self.dataset_keys.extend(values.iter().filter_map(Value::as_str).map(str::to_lowercase));
        }
    }
}

/// Counts the points of a polygon, refusing text that cannot be one.
fn polygon_points(wkt: &str) -> Result<usize, String> {
    let text = wkt.trim().to_uppercase();
    let balanced = text.matches('(').count() == text.matches(')').count();
    if !(text.starts_with("POLYGON") || text.starts_with("MULTIPOLYGON")) || !balanced || !text.ends_with("))") {
        return Err(format!("Invalid geometry: {}", wkt.chars().take(80).collect::<String>()));
    }
    let rings = text.split(['(', ')']).filter(|ring| ring.contains(|digit: char| digit.is_ascii_digit()));
    let mut points = 0;
    for ring in rings {
        let ring: Vec<&str> = ring.split(',').map(str::trim).filter(|point| !point.is_empty()).collect();
        let numbers = |point: &&str| {
            let numbers: Vec<_> = point.split_whitespace().collect();
            numbers.len() >= 2 && numbers.iter().all(|number| number.parse::<f64>().is_ok())
        };
        if ring.len() < 4 || ring.first() != ring.last() || !ring.iter().all(numbers) {
            return Err(format!("Invalid geometry: {}", wkt.chars().take(80).collect::<String>()));
        }
        points += ring.len();
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn ask(value: &Value) -> Result<Asked, Refused> {
        read(value.to_string().as_bytes(), "someone")
    }

    #[test]
    fn echoes_with_match_case_and_hides_nothing_from_the_owner() {
        let asked = ask(&json!({"notification_address": ["a@example.org"], "predicate":
            {"type": "in", "key": "DATASET_KEY", "values": ["50C9"]}}))
        .unwrap();
        assert_eq!(asked.stored["predicate"]["matchCase"], json!(false));
        assert_eq!(asked.stored["notificationAddresses"], json!(["a@example.org"]));
        assert_eq!(asked.stored["format"], "DWCA");
        assert_eq!(asked.dataset_keys, ["50c9"]);
    }

    #[test]
    fn refuses_what_gbif_refuses() {
        let bad = [
            json!({"Predicate": {}}),
            json!({"predicate": {"type": "and", "predicate": []}}),
            json!({"predicate": {"type": "isNull", "key": "YEAR"}}),
            json!({"predicate": {"type": "in", "key": "YEAR", "values": []}}),
            json!({"predicate": {"type": "within", "geometry": "POLYGON((1 1, 2 2, 3"}}),
        ];
        for body in bad {
            assert!(matches!(ask(&body), Err(Refused::Invalid(_))), "{body}");
        }
        assert!(matches!(ask(&json!({"creator": "other"})), Err(Refused::Creator(_))));
        let many: Vec<String> = (0..101_001).map(|number| number.to_string()).collect();
        let large = json!({"predicate": {"type": "in", "key": "TAXON_KEY", "values": many}});
        assert!(
            matches!(ask(&large), Err(Refused::TooLarge(text)) if text.starts_with("A download limitation is exceeded:"))
        );
    }

    #[test]
    fn the_top_level_checklist_is_not_compared() {
        let plain = json!({"predicate": {"type": "equals", "key": "YEAR", "value": "2020"}});
        let mut other = plain.clone();
        other["checklistKey"] = json!("7ddf754f-d193-4cc9-b351-99906754a03b");
        assert_eq!(ask(&plain).unwrap().compared, ask(&other).unwrap().compared);
    }
}
