//! Rows of the table `event`: reading them back with their chain checked.

use std::path::Path;

use hansho_model::{Idem, Recorded, Seq, SourceId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::file::{fault, name};
use crate::body;
use crate::chain::{self, Row};
use crate::{Head, JournalError};

const SELECT: &str = "SELECT seq, tr, src, kind, ver, idem, body, sum FROM event \
                      WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// Last event's link, or `None` when there is no event `after`.
pub(crate) fn sum_of(
    connection: &Connection,
    path: &Path,
    after: Seq,
) -> Result<Option<[u8; 32]>, JournalError> {
    if after == Seq::ZERO {
        return Ok(Some(chain::GENESIS));
    }
    let Ok(number) = i64::try_from(after.get()) else { return Ok(None) };
    connection
        .prepare_cached("SELECT sum FROM event WHERE seq = ?1")
        .and_then(|mut statement| {
            statement.query_row([number], |row| row.get::<_, [u8; 32]>(0)).optional()
        })
        .map_err(|error| fault("read an event", path, error))
}

/// Visits up to `limit` rows behind `from`, in order. Each is checked against the chain before it
/// is visited; `from` moves along. Returns how many were visited.
pub(crate) fn visit<E: From<JournalError>>(
    connection: &Connection,
    path: &Path,
    from: &mut Head,
    limit: usize,
    mut each: impl FnMut(&Row<'_>, &[u8; 32]) -> Result<(), E>,
) -> Result<usize, E> {
    let read = |error| fault("read events", path, error);
    let Ok(after) = i64::try_from(from.seq.get()) else { return Ok(0) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SELECT).map_err(read)?;
    let mut rows = statement.query(params![after, limit]).map_err(read)?;
    let mut visited: usize = 0;
    while let Some(found) = rows.next().map_err(read)? {
        let broken = || JournalError::Broken { seq: from.seq.next(), path: name(path) };
        let row = parse(found).map_err(|_mistyped| broken())?;
        let (row, sum) = row.ok_or_else(broken)?;
        let next = from.seq.next();
        if i64::try_from(next.get()) != Ok(row.seq) || chain::link(&from.sum, &row) != sum {
            return Err(broken().into());
        }
        *from = Head { seq: next, sum };
        each(&row, &sum)?;
        visited = visited.saturating_add(1);
    }
    Ok(visited)
}

type Parsed<'a> = Option<(Row<'a>, [u8; 32])>;

fn parse<'a>(found: &'a rusqlite::Row<'_>) -> Result<Parsed<'a>, rusqlite::types::FromSqlError> {
    let number = |index: usize| found.get_ref(index).ok().map(|value| value.as_i64()).transpose();
    let bytes = |index: usize| found.get_ref(index).ok().map(|value| value.as_blob()).transpose();
    let (Some(seq), Some(tr), Some(src)) = (number(0)?, number(1)?, number(2)?) else {
        return Ok(None);
    };
    let (Some(kind), Some(ver)) = (number(3)?, number(4)?) else { return Ok(None) };
    let (Some(idem), Some(body), Some(sum)) = (bytes(5)?, bytes(6)?, bytes(7)?) else {
        return Ok(None);
    };
    let (Ok(idem), Ok(sum)) = (idem.try_into(), sum.try_into()) else { return Ok(None) };
    Ok(Some((Row { seq, tr, src, kind, ver, idem, body }, sum)))
}

/// A row as the model's type.
pub(crate) fn recorded(row: &Row<'_>) -> Result<Recorded, JournalError> {
    let seq = Seq::new(u64::try_from(row.seq).unwrap_or_default());
    let wrong = |source| JournalError::Body { seq, source };
    let (cause, event) = body::decode(row.kind, row.ver, row.body).map_err(wrong)?;
    let source = u32::try_from(row.src)
        .map_err(|_range| wrong(body::BodyError::OutOfRange { what: "a source" }))?;
    Ok(Recorded {
        seq,
        at: body::time(row.tr).map_err(wrong)?,
        source: SourceId(source),
        cause,
        idem: Idem(*row.idem),
        event,
    })
}

/// Up to `limit` events behind `from`, which moves along.
pub(crate) fn read(
    connection: &Connection,
    path: &Path,
    from: &mut Head,
    limit: usize,
) -> Result<Vec<Recorded>, JournalError> {
    let mut events = Vec::new();
    visit(connection, path, from, limit, |row, _sum| {
        events.push(recorded(row)?);
        Ok::<(), JournalError>(())
    })?;
    Ok(events)
}
