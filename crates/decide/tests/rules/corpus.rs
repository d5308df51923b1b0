//! The seeds of the fuzz targets for rules, lists and data files, through the same checks, cut and changed at every place.

#[path = "../../../../fuzz/checks/rules.rs"]
mod checks;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

fn every_seed(target: &str, check: fn(&[u8])) {
    seeds::replay(target, 3, usize::MAX, check);
    seeds::replay(target, 3, 1, |seed| {
        for place in 0..seed.len() {
            for other in [0, b'(', b',', b'*', 0x7f, 0xff] {
                let mut changed = seed.to_vec();
                changed[place] = other;
                check(&changed);
            }
        }
    });
}

#[test]
fn lines_hold_the_rules() {
    every_seed("rule_lines", checks::lines);
}

#[test]
fn lists_hold_the_rules() {
    every_seed("rule_list", checks::list);
}

#[test]
fn data_files_hold_the_rules() {
    every_seed("geodata", checks::data);
}
