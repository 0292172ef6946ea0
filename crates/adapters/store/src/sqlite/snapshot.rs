//! Pages of a snapshot: a walk over the versions of a type in the order of their rows, which leaves out
//! those that another one had replaced by then.

use rusqlite::{Connection, params};

use super::read::version_of;
use super::readers::ReadError;
use super::search::damaged_id;
use super::tenant::Sealing;
use crate::port::resource::{PageBytes, ResourceKey};
use crate::port::snapshot::{SnapshotPage, SnapshotQuery};

const PAGE: &str = "SELECT v.rid, v.ver, v.vid, v.kind, v.body, r.fid
    FROM ver v INDEXED BY ver_ty CROSS JOIN res r ON r.rid = v.rid
    WHERE v.ty = ?1 AND v.vid >= ?2 AND v.vid <= ?3
      AND (r.vid = v.vid
        OR NOT EXISTS (SELECT 1 FROM ver n WHERE n.rid = v.rid AND n.ver = v.ver + 1 AND n.vid <= ?3))
    ORDER BY v.vid LIMIT ?4";

/// A page.
pub(super) fn page(
    connection: &Connection,
    keys: &Sealing,
    query: &SnapshotQuery,
) -> Result<SnapshotPage, ReadError> {
    let mut statement = connection.prepare_cached(PAGE)?;
    // One row more than the page tells whether another follows.
    let limit = i64::from(query.limit) + 1;
    let mut rows = statement.query(params![query.ty.0, query.first().0, query.at.0, limit])?;
    let mut page = SnapshotPage {
        versions: Vec::new(),
        next: None,
    };
    let mut bytes = PageBytes::new(query.bytes);
    let mut full = false;
    while let Some(row) = rows.next()? {
        if full || page.versions.len() >= query.limit as usize {
            page.next = page.versions.last().map(|last| last.version_row);
            break;
        }
        let id = row.get_ref(5)?.as_str().ok();
        let id = id.and_then(|id| id.parse().ok()).ok_or_else(damaged_id)?;
        let version = version_of(keys, ResourceKey { ty: query.ty, id }, row)?;
        full = !bytes.counts(&version);
        page.versions.push(version);
    }
    Ok(page)
}
