//! Headers: plain texts for us, a field table for AMQP.
//!
//! Headers that belong to the broker are dropped in both directions. A re-published `x-death` is ignored or counted on depending on the
//! broker's version, and `CC`/`BCC` would make the broker route copies
//! ([Sender-selected distribution](https://www.rabbitmq.com/docs/sender-selected)).

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::BrokerDeath;

/// Carries the version of the message kind, as an integer.
pub(crate) const VERSION_HEADER: &str = "passereau-version";

const DEATH_REASON: &str = "x-first-death-reason";
const DEATH_QUEUE: &str = "x-first-death-queue";
const DEATH_EXCHANGE: &str = "x-first-death-exchange";

fn belongs_to_the_broker(key: &str) -> bool {
    matches!(key, "CC" | "BCC" | "x-death" | "x-delivery-count" | "x-acquired-count")
        || key.starts_with("x-first-death-")
        || key.starts_with("x-last-death-")
        || key.starts_with("x-opt-")
}

/// Fails with the first key that is too long for AMQP.
pub(crate) fn to_table(headers: &BTreeMap<String, String>, version: u16) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (key, value) in headers {
        if belongs_to_the_broker(key) {
            continue;
        }
        let name = ShortString::try_new(key.as_str()).map_err(|_| key.clone())?;
        table.insert(name, AMQPValue::LongString(value.as_str().into()));
    }
    table.insert(VERSION_HEADER.into(), AMQPValue::LongInt(version.into()));
    Ok(table)
}

pub(crate) fn from_table(table: &FieldTable) -> BTreeMap<String, String> {
    table
        .into_iter()
        .filter(|(key, _)| key.as_str() != VERSION_HEADER && !belongs_to_the_broker(key.as_str()))
        .filter_map(|(key, value)| Some((key.as_str().to_owned(), text(value)?)))
        .collect()
}

/// 1 when absent, 0 when unreadable. Foreign clients write integers of any width, or texts.
pub(crate) fn version(table: &FieldTable) -> u16 {
    match table.inner().get(VERSION_HEADER) {
        None => 1,
        Some(value) => text(value).and_then(|text| text.trim().parse().ok()).unwrap_or(0),
    }
}

pub(crate) fn death(table: &FieldTable) -> Option<BrokerDeath> {
    let field = |key: &str| table.inner().get(key).and_then(text);
    Some(BrokerDeath {
        reason: field(DEATH_REASON)?,
        queue: field(DEATH_QUEUE).unwrap_or_default(),
        exchange: field(DEATH_EXCHANGE).unwrap_or_default(),
    })
}

/// Nested tables, arrays and nothing have no text and are left out; no message of ours uses them.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        AMQPValue::ShortString(value) => value.as_str().to_owned(),
        AMQPValue::LongString(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        AMQPValue::ByteArray(value) => String::from_utf8_lossy(value.as_slice()).into_owned(),
        AMQPValue::DecimalValue(_) | AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) | AMQPValue::Void => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(key: &str, value: AMQPValue) -> FieldTable {
        FieldTable::from(BTreeMap::from([(ShortString::from(key), value)]))
    }

    #[test]
    fn the_brokers_own_headers_pass_in_neither_direction() {
        let ours = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let all =
            [ours, ("x-death", "1"), ("x-first-death-reason", "rejected"), ("x-delivery-count", "3"), ("CC", "other")];
        let headers: BTreeMap<String, String> = all.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let mut sent = to_table(&headers, 2).expect("short keys");
        assert_eq!(sent.inner().len(), 2, "{sent:?}");
        sent.insert("x-last-death-queue".into(), AMQPValue::LongString("q".into()));
        assert_eq!(from_table(&sent), BTreeMap::from([(ours.0.to_owned(), ours.1.to_owned())]));
    }

    #[test]
    fn versions_of_foreign_clients_are_read_or_become_zero() {
        assert_eq!(version(&FieldTable::default()), 1);
        for value in [
            AMQPValue::LongInt(2),
            AMQPValue::ShortShortInt(2),
            AMQPValue::LongLongInt(2),
            AMQPValue::LongString("2".into()),
        ] {
            assert_eq!(version(&table(VERSION_HEADER, value)), 2);
        }
        for value in
            [AMQPValue::LongInt(-1), AMQPValue::LongString("two".into()), AMQPValue::LongInt(70_000), AMQPValue::Void]
        {
            assert_eq!(version(&table(VERSION_HEADER, value)), 0);
        }
    }
}
