//! Configurations as people have them, each with the file that comes of it and the list of what was left out.

use insta::assert_snapshot;
use tradewind_door_models::Models;
use tradewind_policy::{Node, Problems, Root, Shared, Value, parse_yaml};

use super::{import, listed};
use crate::document::SECTIONS;

/// The paths of all values that hold no others.
fn leaves(node: &Node, path: String, found: &mut Vec<String>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries.iter() {
                let path = if path.is_empty() { entry.key.to_string() } else { format!("{path}.{}", entry.key) };
                leaves(&entry.value, path, found);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, format!("{path}[{index}]"), found);
            }
        }
        _ => found.push(path),
    }
}

/// Both outputs, after checking that the new file is right and that nothing of the old one was dropped silently.
#[track_caller]
fn imported(old: &str) -> String {
    let imported = import("config.yaml", old).unwrap();
    let mut problems = Problems::new();
    // One value that will do for a key as well as for an address.
    let lookup = |_: &str| Some("https://variable.example.com".to_owned());
    let root = Root::parse(&imported.document, &lookup, SECTIONS, &mut problems);
    let _ = Shared::decode(&root, &mut problems);
    let _ = Models::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}\n{}", imported.document, problems.render("new", &imported.document));

    let node = parse_yaml(old, &mut Problems::new()).unwrap();
    let mut paths = Vec::new();
    leaves(&node, String::new(), &mut paths);
    for path in paths {
        assert!(imported.ledger.knows(&path), "{path} was dropped silently");
    }
    format!("{}\n=== stderr ===\n{}", imported.document.trim_end(), listed(&imported).trim_end())
}

#[test]
fn the_smallest_one() {
    assert_snapshot!(imported(
        "
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
"
    ));
}

#[test]
fn several_deployments_behind_one_name() {
    assert_snapshot!(imported(
        "
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://eu.openai.azure.com/
      api_version: '2024-10-21'
      api_key: os.environ/AZURE_EU_KEY
      rpm: 600
    model_info: {base_model: azure/gpt-4o, mode: chat}
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-us
      api_base: os.environ/AZURE_US_BASE
      api_key: os.environ/AZURE_US_KEY
      rpm: 300
      tpm: 100000
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, weight: 1.5, input_cost_per_token: 0.0000025, output_cost_per_token: 1e-5}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY, max_parallel_requests: 20, timeout: 120, stream_timeout: 10}
    model_info: {input_cost_per_token: 0.000003, output_cost_per_token: 0.000015, cache_read_input_token_cost: 3.0e-7}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  timeout: 60
"
    ));
}

#[test]
fn fallbacks_in_a_circle() {
    assert_snapshot!(imported(
        "
model_list:
  - {model_name: fast, litellm_params: {model: groq/llama-3.3-70b-versatile, api_key: os.environ/GROQ_API_KEY}}
  - {model_name: fast, litellm_params: {model: cerebras/llama-3.3-70b, api_key: os.environ/CEREBRAS_API_KEY}}
  - {model_name: smart, litellm_params: {model: claude-sonnet-4-5}}
  - {model_name: cheap, litellm_params: {model: gpt-4o-mini}}
router_settings:
  routing_strategy: latency-based-routing
  routing_strategy_args: {ttl: 10}
  fallbacks: [{fast: [smart, gone]}, {smart: [fast]}, {unknown: [fast]}]
  allowed_fails: 3
  cooldown_time: 30
  redis_host: os.environ/REDIS_HOST
  redis_port: 6379
  model_group_alias: {gpt-4: smart, gpt-3.5-turbo: {model: cheap, hidden: true}, other: gone}
litellm_settings:
  num_retries: 3
  default_fallbacks: [cheap]
  context_window_fallbacks: [{fast: [smart]}]
"
    ));
}

#[test]
fn servers_of_ones_own() {
    assert_snapshot!(imported(
        "
model_list:
  - model_name: llama
    litellm_params: {model: ollama/llama3.2:3b}
  - model_name: qwen
    litellm_params: {model: ollama_chat/qwen3:8b, api_base: 'http://gpu.example.com:11434'}
  - model_name: coder
    litellm_params:
      model: hosted_vllm/Qwen/Qwen2.5-Coder-32B-Instruct
      api_base: http://gpu.example.com:8000/v1
      api_key: none
  - model_name: private
    litellm_params:
      model: openai/mistral-7b
      api_base: https://llm.corp.example.com/v1
      api_key: EMPTY
      extra_headers: {x-team: agents, x-secret-token: abc, x-from: os.environ/FROM}
      temperature: 0.2
  - model_name: embed
    litellm_params: {model: openai/bge-m3, api_base: 'http://gpu.example.com:8001/v1', api_key: none}
    model_info: {mode: embedding, id: 7}
"
    ));
}

#[test]
fn secrets_in_the_file_are_not_repeated() {
    let both = imported(
        "
model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: sk-proj-very-secret}}
  - {model_name: b, litellm_params: {model: anthropic/claude-opus-4-1, api_key: sk-ant-very-secret, organization: org-1}}
general_settings:
  master_key: sk-1234-very-secret
  database_url: postgresql://user:very-secret@db/litellm
environment_variables:
  LANGFUSE_SECRET_KEY: very-secret
",
    );
    assert!(!both.contains("very-secret"), "{both}");
    assert_snapshot!(both);
}

#[test]
fn what_is_not_spoken_and_what_has_no_counterpart() {
    assert_snapshot!(imported(
        "
model_list:
  - {model_name: titan, litellm_params: {model: bedrock/amazon.titan-text, aws_region_name: us-east-1}}
  - {model_name: palm, litellm_params: {model: vertex_ai/gemini-pro, vertex_project: p}}
  - {model_name: odd, litellm_params: {model: something/new}}
  - {model_name: nowhere, litellm_params: {model: hosted_vllm/x}}
  - {model_name: g, litellm_params: {model: gemini/gemini-2.5-flash, api_key: os.environ/GEMINI_API_KEY, num_retries: 2, tags: [free]}}
  - {litellm_params: {model: openai/gpt-4o}}
  - {model_name: empty}
  - {model_name: unnamed, litellm_params: {api_key: x}}
litellm_settings:
  drop_params: true
  set_verbose: false
  success_callback: [langfuse]
  cache: true
  cache_params: {type: redis, host: localhost}
  request_timeout: 6000
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  alerting: [slack]
  store_model_in_db: true
guardrails:
  - {guardrail_name: pii, litellm_params: {guardrail: presidio, mode: pre_call}}
something_new: 1
"
    ));
}

#[test]
fn patterns_and_names_of_providers() {
    assert_snapshot!(imported(
        "
model_list:
  - {model_name: 'anthropic/*', litellm_params: {model: 'anthropic/*', api_key: os.environ/ANTHROPIC_API_KEY}}
  - {model_name: '*', litellm_params: {model: 'openai/*', api_key: os.environ/OPENAI_API_KEY, timeout: 30}}
  - {model_name: openai/gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
  - {model_name: anthropic/best, litellm_params: {model: anthropic/claude-opus-4-1, api_key: os.environ/ANTHROPIC_API_KEY}}
  - {model_name: twice, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, input_cost_per_token: 0.000001}}
  - {model_name: twice, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 10}}
  - {model_name: thrice, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, output_cost_per_token: 0.000002}}
  - {model_name: ' odd ', litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
"
    ));
}

#[test]
fn what_is_no_such_file() {
    let error = |text: &str| import("config.yaml", text).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error("listen: 127.0.0.1:7080").contains("has no list `model_list`"));
    assert!(error("model_list: {}").contains("has no list `model_list`"));
    assert!(error("").contains("config.yaml"));
    assert!(error("model_list: [").contains("config.yaml:"), "{}", error("model_list: ["));
    // Nothing in it is of the expected kind.
    for odd in [
        "model_list: [1, null, [x], {model_name: [a], litellm_params: 5}]",
        "model_list: []\nrouter_settings: 5\nlitellm_settings: [a]\ngeneral_settings: x",
        "model_list: []\nrouter_settings: {fallbacks: {a: [b]}, num_retries: many, model_group_alias: [x], timeout: -1}",
        "model_list: []\nrouter_settings: {fallbacks: [1, {a: b}, {c: [{d: e}]}], num_retries: 100, routing_strategy: 7}",
        "model_list:\n - {model_name: a, litellm_params: {model: 5, extra_headers: [x], rpm: fast, weight: -1}}",
    ] {
        let _ = imported(odd);
    }
}
