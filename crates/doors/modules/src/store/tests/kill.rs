//! kill -9 while the store is written to: a child process that is this very test, and a parent that kills it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tradewind_core::UnixMillis;

use super::support::{TestClock, commit, noise, of};
use crate::store::{Answer, AnswerKey, Limits, Refusal, Store, Tree};

const FOLDER: &str = "TRADEWIND_TEST_MODULE_STORE";
const ROUNDS: usize = 24;
const WRITERS: u64 = 3;

/// The child: stores as fast as it can and says which version is certainly there, until it is killed.
fn write_for_ever(folder: &Path) {
    let store = Store::open(folder, Limits::default(), TestClock::new()).unwrap();
    let tree = Tree::new("go");
    let pid = u64::from(std::process::id());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, tree) = (&store, &tree);
            scope.spawn(move || {
                for number in 0.. {
                    let (module, version) =
                        (format!("example.com/{writer}"), format!("v{}.{number}.{pid}", number % 2));
                    // From a few bytes to half a megabyte; some the same for all.
                    let zip = noise(number % 50, 1 << (number % 20));
                    commit(store, tree, &module, &version, &zip).unwrap();
                    let answer = Answer {
                        body: vec![b'v'; (number as usize % 9) * 5000].into(),
                        fetched: UnixMillis(1),
                        upstream: String::new(),
                        checked: None,
                    };
                    let key = AnswerKey::List(of(&module, &version).path);
                    store.keep_answer(tree, &key, &answer).unwrap();
                    let refusal = Refusal { reason: "bad".repeat(900), evidence: Vec::new(), upstream: String::new() };
                    store
                        .quarantine(tree, &of("example.com/bad", &format!("v1.0.{}", number % 7)), refusal, None)
                        .unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "safe {module}@{version}").unwrap();
                    out.flush().unwrap();
                }
            });
        }
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the child is told by its environment what it is")]
fn a_killed_writer_leaves_whole_versions_only() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::new("go");
    let mut safe = Vec::new();
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::a_killed_writer_leaves_whole_versions_only", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        // A different moment each time; the child is in the middle of its next versions.
        while seen < 2 + round * 3 {
            let line = lines.next().expect("the child writes until it is killed").unwrap();
            if let Some(of) = line.strip_prefix("safe ") {
                safe.push(of.to_owned());
                seen += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        safe.extend(lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("safe ").map(str::to_owned)));

        interrupted += std::fs::read_dir(folder.path().join("incoming")).unwrap().count();
        let store = Store::open(folder.path(), Limits::default(), TestClock::new()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("incoming")).unwrap().count(), 0, "nothing is left for ever");
        let verified = store.verify(&mut |_, _| {}).unwrap();
        assert!(verified.damaged.is_empty(), "round {round}: {:?}", verified.damaged);
        assert!(verified.good >= safe.len() && verified.good <= safe.len() + (round + 1) * WRITERS as usize);
        for of in &safe {
            let of = crate::name::ModuleVersion::parse(of).unwrap();
            assert!(store.version(&tree, &of).is_some(), "{of} was stored");
        }
        for writer in 0..WRITERS {
            let key = AnswerKey::List(of(&format!("example.com/{writer}"), "v1.0.0").path);
            let module = of(&format!("example.com/{writer}"), "v1.0.0").path;
            let path = store.0.layout.answers_of(&tree, &module).join("list.json");
            assert!(!path.exists() || store.answer(&tree, &key).is_some(), "half an answer");
        }
        store.settle().unwrap();
        assert_eq!(store.survey().unwrap().orphaned, 0);
    }
    assert!(interrupted > 0, "no child was killed in the middle of anything");
}
