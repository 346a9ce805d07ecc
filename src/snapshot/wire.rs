//! `snapshot.json`: what of a snapshot is on disk, with a check over all of it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::SnapshotId;
use super::lines::hex;
use super::model::{CopiedVolume, Snapshot};
use super::root::{Root, SNAPSHOTS};
use crate::error::{Error, Result};
use crate::version::Version;

const SCHEMA: u64 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SnapshotWire {
    schema: u64,
    id: SnapshotId,
    seq: u64,
    app: String,
    version: Version,
    txn: String,
    taken_at: Timestamp,
    reason: String,
    volumes: Vec<VolumeWire>,
    sealed: bool,
    verified_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VolumeWire {
    path: PathBuf,
    /// Relative to the index where the copy is below it, so that a moved state folder is still right.
    location: PathBuf,
    bytes: u64,
    entries: u64,
    root_digest: Option<String>,
}

/// Which folders a snapshot's copies can be in.
pub(super) struct Layout<'a> {
    pub(super) app: &'a str,
    pub(super) app_dir: &'a Path,
}

impl Layout<'_> {
    fn in_store(&self) -> Root {
        Root::in_store(self.app_dir)
    }

    fn beside(&self, volume: &Path) -> Option<Root> {
        Some(Root::beside(volume.parent()?, self.app))
    }

    /// A location is only believed where the store would have put the copy itself: what it names will be deleted.
    fn root_of(&self, (number, volume): (usize, &VolumeWire), id: &SnapshotId) -> Option<Root> {
        if volume.location == Path::new(&copy_name(number)) {
            return Some(self.in_store());
        }
        self.beside(&volume.path).filter(|root| volume.location == root.path(&copy_path(id.as_str(), number)))
    }
}

/// Where the copy of a volume is, inside a snapshot.
fn copy_name(number: usize) -> String {
    format!("{number}/data")
}

/// Where the copy of a volume is, inside its root; `snapshot` is an id, or the name of one being made.
pub(super) fn copy_path(snapshot: &str, number: usize) -> String {
    format!("{SNAPSHOTS}/{snapshot}/{}", copy_name(number))
}

/// Writes a snapshot down.
pub(super) fn encode(snapshot: &Snapshot) -> Result<Vec<u8>> {
    let volume = |(number, volume): (usize, &CopiedVolume)| VolumeWire {
        path: volume.path.clone(),
        location: if volume.root.is_beside() { volume.location.clone() } else { copy_name(number).into() },
        bytes: volume.bytes,
        entries: volume.entries,
        root_digest: volume.root_digest.clone(),
    };
    let wire = SnapshotWire {
        schema: SCHEMA,
        id: snapshot.id.clone(),
        seq: snapshot.seq,
        app: snapshot.app.clone(),
        version: snapshot.version.clone(),
        txn: snapshot.txn.clone(),
        taken_at: snapshot.taken_at,
        reason: snapshot.reason.clone(),
        volumes: snapshot.volumes.iter().enumerate().map(volume).collect(),
        sealed: snapshot.sealed,
        verified_at: snapshot.verified_at,
    };
    let failed = |e| Error::new(format!("cannot write down snapshot {}", snapshot.id)).because(e);
    let mut value = serde_json::to_value(&wire).map_err(failed)?;
    let check = check(&value);
    if let Value::Object(fields) = &mut value {
        fields.insert("check".to_owned(), check.into());
    }
    serde_json::to_vec_pretty(&value).map_err(failed)
}

/// Reads a snapshot that was written down; the error says why it cannot be trusted.
pub(super) fn decode(bytes: &[u8], layout: &Layout<'_>) -> Result<Snapshot> {
    let mut value: Value =
        serde_json::from_slice(bytes).map_err(|e| Error::new("it is no JSON document").because(e))?;
    match value.get("schema").and_then(Value::as_u64) {
        Some(SCHEMA) => {}
        Some(newer @ 2..) => {
            return Err(Error::new(format!("it has schema {newer}, this warmkeep knows {SCHEMA}"))
                .remedy("use the newer warmkeep that made it"));
        }
        _ => return Err(Error::new("it has no schema number that makes sense")),
    }
    let said = value.as_object_mut().and_then(|fields| fields.remove("check"));
    if said.as_ref().and_then(Value::as_str) != Some(check(&value).as_str()) {
        return Err(Error::new("it is damaged: it does not match its own check"));
    }
    let wire = serde_json::from_value(value)
        .map_err(|e| Error::new("it is not what a snapshot's record looks like").because(e))?;
    from_wire(wire, layout)
}

fn from_wire(wire: SnapshotWire, layout: &Layout<'_>) -> Result<Snapshot> {
    if wire.app != layout.app {
        return Err(Error::new(format!("it is of the app {}, not {}", wire.app, layout.app)));
    }
    let id = wire.id;
    let volume = |(number, volume): (usize, VolumeWire)| {
        let root = layout.root_of((number, &volume), &id).ok_or_else(|| {
            Error::new(format!("{} is no place for a copy of its own", volume.location.display()))
        })?;
        Ok(CopiedVolume {
            location: root.path(&copy_path(id.as_str(), number)),
            path: volume.path,
            bytes: volume.bytes,
            entries: volume.entries,
            root_digest: volume.root_digest,
            root,
        })
    };
    let volumes = wire.volumes.into_iter().enumerate().map(volume).collect::<Result<_>>()?;
    Ok(Snapshot {
        id,
        volumes,
        seq: wire.seq,
        app: wire.app,
        version: wire.version,
        txn: wire.txn,
        taken_at: wire.taken_at,
        reason: wire.reason,
        sealed: wire.sealed,
        verified_at: wire.verified_at,
    })
}

/// Over the compact form without spaces, so that nothing but the content counts.
fn check(value: &Value) -> String {
    hex(digest(&SHA256, value.to_string().as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(layout: &Layout<'_>) -> Snapshot {
        let id = SnapshotId::parse("20261121T030004Z-9f3c").unwrap();
        let beside = Root::beside(Path::new("/other"), layout.app);
        let volume = |number, path: &str, root: Root| CopiedVolume {
            path: path.into(),
            location: root.path(&copy_path(id.as_str(), number)),
            bytes: 4096,
            entries: 3,
            root_digest: Some("ab".repeat(32)),
            root,
        };
        let volumes = vec![volume(0, "/srv/a", layout.in_store()), volume(1, "/other/b", beside)];
        Snapshot {
            id,
            volumes,
            seq: 7,
            app: "notes".into(),
            version: Version::new("1.2.3").unwrap(),
            txn: "t1".into(),
            taken_at: "2026-11-21T03:00:04Z".parse().unwrap(),
            reason: "upgrade".into(),
            sealed: true,
            verified_at: None,
        }
    }

    fn layout() -> Layout<'static> {
        Layout { app: "notes", app_dir: Path::new("/state/apps/notes") }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let snapshot = sample(&layout());
        assert_eq!(decode(&encode(&snapshot).unwrap(), &layout()).unwrap(), snapshot);
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let snapshot = sample(&layout());
        let bytes = encode(&snapshot).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A space may become another kind of space.
            if let Ok(read) = decode(&flipped, &layout()) {
                assert_eq!(read, snapshot);
                assert!(bytes[bit / 8].is_ascii_whitespace());
            }
        }
    }

    #[test]
    fn a_moved_state_folder_moves_the_copies_inside_it() {
        let moved = Layout { app: "notes", app_dir: Path::new("/elsewhere") };
        let read = decode(&encode(&sample(&layout())).unwrap(), &moved).unwrap();
        let locations: Vec<_> = read.volumes.iter().map(|volume| volume.location.to_str().unwrap()).collect();
        assert_eq!(
            locations,
            [
                "/elsewhere/snapshots/20261121T030004Z-9f3c/0/data",
                "/other/.warmkeep/notes/snapshots/20261121T030004Z-9f3c/1/data"
            ]
        );
    }

    #[test]
    fn a_location_elsewhere_is_not_believed_even_if_the_check_is_right() {
        let mut snapshot = sample(&layout());
        snapshot.volumes[1].location = "/etc".into();
        let error = decode(&encode(&snapshot).unwrap(), &layout()).unwrap_err();
        assert!(error.chain().contains("no place for a copy"), "{}", error.chain());
    }

    #[test]
    fn a_newer_schema_is_said_to_be_newer() {
        let error = decode(br#"{"schema":2,"future":true}"#, &layout()).unwrap_err();
        assert!(error.chain().contains("schema 2"), "{}", error.chain());
    }
}
