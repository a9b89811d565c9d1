/// The facts about Cilium that lie beside the clone and are no part of the project (`EGRET_SHARED` says where else); nothing
/// where they are absent, which only a machine without `CI` may be.
#[expect(clippy::print_stdout, reason = "a test says what it skips")]
pub(crate) fn cilium() -> Option<serde_json::Value> {
    let root = std::env::var_os("EGRET_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        std::path::PathBuf::from,
    );
    let path = root.join("cases/cilium.json");
    if !path.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set and {} is absent",
            path.display()
        );
        println!("NOT RUN: needs {}", path.display());
        return None;
    }
    let text = std::fs::read_to_string(path).expect("the facts can be read");
    Some(serde_json::from_str(&text).expect("the facts are JSON"))
}
