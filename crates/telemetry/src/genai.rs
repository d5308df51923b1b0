//! The names of OpenTelemetry's conventions that spans use; a test holds them against the conventions' own list. The GenAI ones have the status Development: a rename there is a change here and nowhere else.

/// What of the conventions the spans say that they follow.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

pub(crate) const SERVICE_NAME: &str = "service.name";
pub(crate) const SERVICE_VERSION: &str = "service.version";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const HTTP_METHOD: &str = "http.request.method";
pub(crate) const HTTP_STATUS: &str = "http.response.status_code";
pub(crate) const HTTP_ROUTE: &str = "http.route";
pub(crate) const OPERATION_NAME: &str = "gen_ai.operation.name";
pub(crate) const PROVIDER_NAME: &str = "gen_ai.provider.name";
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(crate) const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(crate) const RESPONSE_ID: &str = "gen_ai.response.id";
pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(crate) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(crate) const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
pub(crate) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";

/// The conventions' word for one of our operations. Those that they do not know keep ours.
pub(crate) fn operation_name(operation: &'static str) -> &'static str {
    match operation {
        "messages" | "responses" => "chat",
        "completions" => "text_completion",
        own => own,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::{SCHEMA_URL as CURRENT, attribute, resource};

    use super::*;

    #[test]
    #[expect(
        deprecated,
        reason = "the GenAI names moved to a repository of their own, for which there is no crate yet"
    )]
    fn every_name_is_in_the_conventions() {
        for (ours, theirs) in [
            (SERVICE_NAME, resource::SERVICE_NAME),
            (SERVICE_VERSION, resource::SERVICE_VERSION),
            (ERROR_TYPE, attribute::ERROR_TYPE),
            (SERVER_ADDRESS, attribute::SERVER_ADDRESS),
            (SERVER_PORT, attribute::SERVER_PORT),
            (HTTP_METHOD, attribute::HTTP_REQUEST_METHOD),
            (HTTP_STATUS, attribute::HTTP_RESPONSE_STATUS_CODE),
            (HTTP_ROUTE, attribute::HTTP_ROUTE),
            (OPERATION_NAME, attribute::GEN_AI_OPERATION_NAME),
            (PROVIDER_NAME, attribute::GEN_AI_PROVIDER_NAME),
            (REQUEST_MODEL, attribute::GEN_AI_REQUEST_MODEL),
            (REQUEST_STREAM, attribute::GEN_AI_REQUEST_STREAM),
            (RESPONSE_ID, attribute::GEN_AI_RESPONSE_ID),
            (RESPONSE_MODEL, attribute::GEN_AI_RESPONSE_MODEL),
            (FINISH_REASONS, attribute::GEN_AI_RESPONSE_FINISH_REASONS),
            (TIME_TO_FIRST_CHUNK, attribute::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK),
            (INPUT_TOKENS, attribute::GEN_AI_USAGE_INPUT_TOKENS),
            (OUTPUT_TOKENS, attribute::GEN_AI_USAGE_OUTPUT_TOKENS),
            (CACHE_READ_TOKENS, attribute::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS),
            (REASONING_TOKENS, attribute::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS),
            (SCHEMA_URL, CURRENT),
        ] {
            assert_eq!(ours, theirs);
        }
    }
}
