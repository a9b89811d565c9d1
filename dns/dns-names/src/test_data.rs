/// The project's shared facts about Cilium; `../shared` beside the repository unless `EGRET_SHARED` says otherwise.
pub(crate) fn cilium() -> serde_json::Value {
    let root = std::env::var_os("EGRET_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        std::path::PathBuf::from,
    );
    let text = std::fs::read_to_string(root.join("cases/cilium.json"))
        .expect("cases/cilium.json in the shared folder");
    serde_json::from_str(&text).expect("JSON")
}
