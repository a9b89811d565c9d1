//! The committed schema is the one the types have.

use std::path::Path;

use gateway_observe::Record;

/// `EGRET_UPDATE=1` writes it anew.
#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("report.schema.json");
    let schema = schemars::schema_for!(Record);
    let mut current = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    current.push('\n');
    if std::env::var_os("EGRET_UPDATE").is_some() {
        std::fs::write(&path, &current).expect("the source tree can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, current,
        "run `EGRET_UPDATE=1 cargo test -p gateway-observe` and commit the file"
    );
}
