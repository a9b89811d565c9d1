/// The facts about Cilium; nothing where they are absent, which is said.
pub(crate) fn cilium() -> Option<serde_json::Value> {
    let text = facts::text("cases/cilium.json")?;
    Some(serde_json::from_str(&text).expect("the facts are JSON"))
}
