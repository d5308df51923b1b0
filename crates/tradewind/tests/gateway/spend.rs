//! `GET /api/v1/spend` of a book that is larger than an answer may be.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Bench, get};

/// The most rows of an answer.
const MOST: u32 = 50_000;
/// Enough that two of them are more than an answer may have.
const KEYS_A_DAY: u32 = MOST / 2 + 1;

/// A book of three days, the last one being yesterday: each key has used one model at one target on each of them.
fn fill(book: &mut Connection, today: u32) {
    let transaction = book.transaction().unwrap();
    for day in today - 3..today {
        let mut add = transaction
            .prepare("INSERT INTO spend VALUES (?1, 'key-' || ?2, 'm', 'up/m', 1, 2, 3, 0, 0, 0, 4000000000000, 0)")
            .unwrap();
        for key in 0..KEYS_A_DAY {
            add.execute([day, key]).unwrap();
        }
    }
    transaction.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_too_many_rows_is_refused_and_not_cut() {
    let bench = Bench::start("models: [{name: m, last-resort: rules}]\n").await;
    let first = bench.send(&get("/api/v1/spend")).await.json();
    assert_eq!(first["rows"], json!([]), "{first}");
    let today = first["to"].as_str().unwrap().to_owned();
    let file = bench.folder.path().join("data/journal.db");
    let mut book = Connection::open(file).unwrap();
    book.busy_timeout(Duration::from_secs(5)).unwrap();
    let number: u32 = book.query_row("SELECT unixepoch(?1) / 86400", [&today], |row| row.get(0)).unwrap();
    fill(&mut book, number);
    let day = |back: u32| -> String {
        book.query_row("SELECT date(?1 * 86400, 'unixepoch')", [number - back], |row| row.get(0)).unwrap()
    };
    for path in ["/api/v1/spend".to_owned(), format!("/api/v1/spend?from={}&by=day,key", day(2))] {
        let refused = bench.send(&get(&path)).await;
        let error = &refused.json()["error"];
        assert_eq!((refused.status, &error["code"], &error["field"]), (400, &json!("TW1002"), &json!("by")), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("more than 50000 rows") && message.contains("`from`"), "{message}");
    }
    // What fits is there, to the last row and the last cent.
    let one_day = bench.send(&get(&format!("/api/v1/spend?from={0}&to={0}", day(1)))).await.json();
    assert_eq!(one_day["rows"].as_array().unwrap().len(), KEYS_A_DAY as usize);
    assert_eq!((&one_day["from"], &one_day["to"]), (&json!(day(1)), &json!(day(1))));
    let by_key = bench.send(&get("/api/v1/spend?by=key")).await.json();
    assert_eq!(by_key["rows"].as_array().unwrap().len(), KEYS_A_DAY as usize);
    let sums = bench.send(&get("/api/v1/spend?by=day")).await.json();
    let calls: Vec<_> = sums["rows"].as_array().unwrap().iter().map(|row| row["calls"].as_u64().unwrap()).collect();
    assert_eq!(calls, [u64::from(KEYS_A_DAY); 3], "{sums}");
    assert_eq!(sums["rows"][0]["usd"].as_f64(), Some(f64::from(KEYS_A_DAY * 4)), "{sums}");
}
