//! The seeds of the fuzz targets for what servers and proxies answer, through the same checks: what the fuzzer was given once
//! is tried by every test run.

#[path = "../../../fuzz/checks/egress.rs"]
mod egress;
#[path = "../../../fuzz/checks/logins.rs"]
mod logins;
#[path = "../../../fuzz/checks/ways.rs"]
mod ways;

/// Every beginning of every seed of `target`, of which there are at least `least`.
fn replay(target: &str, least: usize, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for length in 0..=bytes.len() {
            check(&bytes[..length]);
        }
        seeds += 1;
    }
    assert!(seeds >= least, "only {seeds} seeds in {folder}");
}

#[test]
fn responses_hold_the_rules() {
    replay("http_response", 8, egress::response);
}

#[test]
fn answers_to_connect_hold_the_rules() {
    replay("connect_answer", 9, ways::connect_answer);
}

#[test]
fn socks_replies_hold_the_rules() {
    replay("socks_reply", 9, ways::socks_reply);
}

#[test]
fn shadowsocks_streams_hold_the_rules() {
    replay("shadowsocks_stream", 3, ways::shadowsocks_stream);
}

#[test]
fn challenges_of_ntlm_hold_the_rules() {
    replay("ntlm_challenge", 9, logins::ntlm_challenge);
}

#[test]
fn answers_of_scripts_hold_the_rules() {
    replay("pac_answer", 10, logins::pac_answer);
}
