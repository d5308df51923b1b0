//! The questions of BFCL out of the installed package, and our own pairs.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use tradewind_meaning::Described;

/// One question of BFCL with the tools given; `gold` is none where no tool is right.
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) question: String,
    pub(crate) tools: Vec<Described>,
    pub(crate) gold: Option<usize>,
}

pub(crate) struct Data {
    pub(crate) multiple: Vec<Item>,
    pub(crate) simple: Vec<Item>,
    pub(crate) irrelevant: Vec<Item>,
}

impl Data {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| -> Result<Vec<Value>> {
            let file = folder.join(name);
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
        };
        let answers = read("possible_answer/BFCL_v4_live_multiple.json")?;
        let answers: HashMap<&str, &str> = answers
            .iter()
            .filter_map(|answer| {
                Some((answer["id"].as_str()?, answer["ground_truth"][0].as_object()?.keys().next()?.as_str()))
            })
            .collect();
        let multiple = read("BFCL_v4_live_multiple.json")?;
        let multiple = multiple.iter().map(|item| {
            let mut item = Item::of(item);
            item.gold =
                item.tools.iter().position(|tool| Some(tool.name.as_str()) == answers.get(item.id.as_str()).copied());
            item
        });
        let of = |items: Vec<Value>| items.iter().map(Item::of).filter(|item| !item.tools.is_empty()).collect();
        Ok(Self {
            multiple: multiple.collect(),
            simple: of(read("BFCL_v4_live_simple.json")?),
            irrelevant: of(read("BFCL_v4_live_irrelevance.json")?),
        })
    }
}

impl Item {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let turns = value["question"][0].as_array().map(Vec::as_slice).unwrap_or_default();
        let question = turns.iter().rev().find(|turn| turn["role"] == "user").map(|turn| text(&turn["content"]));
        let tools = value["function"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tool =
            |tool: &Value| Described::from_tool(&text(&tool["name"]), &text(&tool["description"]), &tool["parameters"]);
        Self {
            id: text(&value["id"]),
            question: question.unwrap_or_default(),
            tools: tools.iter().map(tool).collect(),
            gold: None,
        }
    }
}

/// Pairs of a question in one language and a description in the other, and questions that none fits.
pub(crate) struct Pairs {
    pub(crate) chinese: Vec<(String, String)>,
    pub(crate) english: Vec<(String, String)>,
    pub(crate) unrelated: Vec<String>,
}

impl Pairs {
    /// The 200 pairs (no prefix), 100 that were written later (`unseen-`), or those for development (`dev-`).
    pub(crate) fn read(folder: &Path, prefix: &str) -> Result<Self> {
        let read = |name: &str| -> Result<Vec<Vec<String>>> {
            let text = std::fs::read_to_string(folder.join(name)).with_context(|| name.to_owned())?;
            Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
        };
        let pair = |columns: Vec<String>| (columns[1].clone(), columns[2].clone());
        Ok(Self {
            chinese: read(&format!("{prefix}zh-en.tsv"))?.into_iter().map(pair).collect(),
            english: read(&format!("{prefix}en-zh.tsv"))?.into_iter().map(pair).collect(),
            unrelated: read("unrelated.tsv")?.into_iter().map(|columns| columns[1].clone()).collect(),
        })
    }
}
