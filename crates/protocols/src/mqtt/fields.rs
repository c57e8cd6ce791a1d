//! Fields of a JSON object, read one by one and strictly.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::COUNTER_MAX;
use super::json::{self, Value};
use crate::time::time;

/// Longest time, in bytes.
const TIME_SIZE_MAX: usize = 40;

/// Fields of a map, each taken once; what is wrong or left over is counted.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Vec<(String, Value)>,
    faults: usize,
}

impl Fields {
    pub(super) const fn new(map: Vec<(String, Value)>) -> Self {
        Self { map, faults: 0 }
    }

    /// Reads a JSON object of which everything must be right: all fields known, none missing that
    /// `read` wants.
    pub(crate) fn whole<T>(bytes: &[u8], read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut fields = Self::parse(bytes)?;
        read(&mut fields).filter(|_| fields.end() == 0)
    }

    /// Reads what is to be had of a JSON object, whatever else is wrong with it.
    pub(crate) fn any<T>(bytes: &[u8], read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        read(&mut Self::parse(bytes)?)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        match json::parse(bytes)? {
            Value::Map(map) => Some(Self::new(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                None
            }
        }
    }

    pub(super) const fn fault(&mut self) {
        self.faults(1);
    }

    pub(super) const fn faults(&mut self, count: usize) {
        self.faults = self.faults.saturating_add(count);
    }

    /// How much was wrong, fields that nobody knows among it.
    pub(super) const fn end(&self) -> usize {
        self.faults.saturating_add(self.map.len())
    }

    /// `null` is as good as absent.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let place = self.map.iter().position(|(name, _)| name == key)?;
        Some(self.map.swap_remove(place).1).filter(|value| *value != Value::Null)
    }

    fn read<T>(&mut self, key: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let value = self.take(key)?;
        let read = read(value);
        if read.is_none() {
            self.fault();
        }
        read
    }

    pub(super) fn nested<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let mut faults = 0_usize;
        let found = self.read(key, |value| {
            let Value::Map(map) = value else { return None };
            let mut inner = Self::new(map);
            let found = read(&mut inner);
            faults = inner.end();
            found
        });
        self.faults(faults);
        found
    }

    /// A number in units of ten to the minus `places`.
    pub(super) fn decimal(
        &mut self,
        key: &str,
        places: usize,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        self.read(key, |value| {
            let scaled = json::decimal(value.number()?, places);
            scaled.filter(|scaled| range.contains(scaled))
        })
    }

    pub(crate) fn integer(&mut self, key: &str, least: i64, most: i64) -> Option<i64> {
        self.read(key, |value| {
            let whole = value.number().filter(|number| !number.contains('.'))?;
            json::decimal(whole, 0).filter(|number| (least..=most).contains(number))
        })
    }

    /// A message counter.
    pub(crate) fn counter(&mut self) -> Option<u64> {
        let counter = self.integer("n", 0, i64::try_from(COUNTER_MAX).unwrap_or(i64::MAX));
        counter.and_then(|counter| u64::try_from(counter).ok())
    }

    pub(super) fn small(&mut self, key: &str, most: u8) -> Option<u8> {
        self.integer(key, 0, i64::from(most)).and_then(|number| u8::try_from(number).ok())
    }

    pub(super) fn truth(&mut self, key: &str) -> Option<bool> {
        self.read(key, |value| if let Value::Bool(truth) = value { Some(truth) } else { None })
    }

    pub(super) fn text(&mut self, key: &str, size_max: usize) -> Option<String> {
        self.read(key, |value| {
            value.text().filter(|text| text.len() <= size_max).map(str::to_owned)
        })
    }

    pub(crate) fn word<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.read(key, |value| value.text().and_then(read))
    }

    pub(crate) fn time(&mut self, key: &str) -> Option<Timestamp> {
        self.word(key, |text| if text.len() <= TIME_SIZE_MAX { time(text) } else { None })
    }
}
