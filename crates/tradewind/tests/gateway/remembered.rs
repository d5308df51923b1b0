//! What the gateway itself remembers: it is there after a restart, whatever wrote it.

use serde_json::json;
use tempfile::TempDir;
use tradewind_runtime::files;

use crate::support::{Bench, get, post};

const DOCUMENT: &str = "providers:\n  - {name: p, dialect: openai, base-url: \"http://127.0.0.1:9/v1\", api-key: k}\n\
                        models: [{name: m, strategy: select, targets: [{use: p/a}, {use: p/b}]}]\n\
                        proxy-groups: [{name: way, type: select, proxies: [DIRECT, REJECT]}]\n";

async fn select(bench: &Bench, path: &str, member: &str) {
    let request = String::from_utf8(post(path, "", &json!({"selected": member}).to_string())).unwrap();
    let answer = bench.send(request.replacen("POST", "PUT", 1).as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What the model and the group use.
async fn selected(bench: &Bench) -> (String, String) {
    let groups = bench.send(&get("/api/v1/proxies")).await.json();
    let groups = groups["groups"].as_array().unwrap();
    let way = groups.iter().find(|group| group["name"] == "way").unwrap()["now"].as_str().unwrap().to_owned();
    (bench.gateway.models().selected("m").unwrap(), way)
}

fn own(selected: (&str, &str)) -> (String, String) {
    (selected.0.to_owned(), selected.1.to_owned())
}

#[tokio::test]
async fn what_was_selected_is_selected_after_a_restart() {
    for store in
        ["", "store: wal\n", "state: {encryption: {id: a, key: \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"}}\n"]
    {
        let document = format!("{store}{DOCUMENT}");
        let bench = Bench::start(&document).await;
        assert_eq!(selected(&bench).await, own(("p/a", "DIRECT")));
        select(&bench, "/api/v1/models/m/selected", "p/b").await;
        select(&bench, "/api/v1/proxies/way/selected", "REJECT").await;
        let bench = bench.restart(&document).await;
        assert_eq!(selected(&bench).await, own(("p/b", "REJECT")), "{store}");
        // A member that is gone leaves the first one, and the other choice stays.
        let bench = bench.restart(&document.replace("{use: p/b}", "{use: p/c}")).await;
        assert_eq!(selected(&bench).await, own(("p/a", "REJECT")), "{store}");
    }
}

#[tokio::test]
async fn the_file_of_earlier_releases_is_taken_over() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    files::make_private_dir(&data).unwrap();
    let file = r#"{"schema_version":1,"selected":{"way":"REJECT","models/m":"p/b"}}"#;
    files::replace_private(&data.join("ways.json"), file).unwrap();
    let bench = Bench::start_on(folder, DOCUMENT).await;
    assert_eq!(selected(&bench).await, own(("p/b", "REJECT")));
    assert!(!data.join("ways.json").exists());
    assert_eq!(files::read_text(&data.join("ways.json.moved"), 1000).unwrap(), file);
    let bench = bench.restart(DOCUMENT).await;
    assert_eq!(selected(&bench).await, own(("p/b", "REJECT")), "it is in the store");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_put_aside() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    files::make_private_dir(&data).unwrap();
    files::replace_private(&data.join("ways.json"), "{").unwrap();
    let bench = Bench::start_on(folder, DOCUMENT).await;
    assert_eq!(selected(&bench).await, own(("p/a", "DIRECT")));
    assert_eq!(files::read_text(&data.join("ways.json.unreadable"), 1000).unwrap(), "{");
}

#[tokio::test]
async fn another_store_leaves_what_was_selected() {
    let bench = Bench::start(DOCUMENT).await;
    select(&bench, "/api/v1/models/m/selected", "p/b").await;
    let wal = format!("store: wal\n{DOCUMENT}");
    let bench = bench.restart(&wal).await;
    assert_eq!(selected(&bench).await, own(("p/b", "DIRECT")));
    select(&bench, "/api/v1/proxies/way/selected", "REJECT").await;
    let bench = bench.restart(DOCUMENT).await;
    assert_eq!(selected(&bench).await, own(("p/b", "REJECT")));
}
