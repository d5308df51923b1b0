//! Public error codes. Each has a page `docs/errors/TWnnnn.md`; a test fails when one is missing.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $status:literal, $title:literal;)*) => {
        /// A public error code: what a person looks up, and what a client may match on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as shown, `TW1001`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => concat!("TW", $number),)* }
            }

            /// The HTTP status that goes with it. Configuration codes, which no HTTP client sees, have 500.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What happened, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = "1001", 400, "the request body is not valid JSON";
    /// A field is missing or has the wrong type.
    BadField = "1002", 400, "a field of the request is missing or has the wrong type";
    /// No such model.
    UnknownModel = "1003", 404, "no model of this name";
    /// No such path.
    UnknownPath = "1004", 404, "this path is not served";
    /// The body is over the limit.
    BodyTooLarge = "1005", 413, "the request body is over the limit";
    /// The headers are over the limit.
    HeadersTooLarge = "1006", 431, "the request headers are over the limit";
    /// The body did not arrive in time.
    BodyTooSlow = "1007", 408, "the request body did not arrive in time";
    /// The body ended early or its framing is broken.
    BodyBroken = "1008", 400, "the request body was cut or its framing is broken";
    /// The path exists, the method does not.
    MethodNotAllowed = "1009", 405, "this path does not take this method";
    /// `Host` or `Origin` point elsewhere.
    NotLocal = "1010", 403, "the request's Host or Origin is not this machine";
    /// A header of ours cannot be read.
    BadHeader = "1011", 400, "a header of the request cannot be read";
    /// The body is compressed or not JSON by its own words.
    UnsupportedMedia = "1012", 415, "the request body has an encoding or type that is not supported";
    /// No record under this id.
    UnknownDecision = "1013", 404, "no decision record under this id";
    /// The model is there, but no target of it can express what is asked.
    Inexpressible = "1014", 400, "no target of this model can express this request";
    /// No key, or one that is not known.
    UnknownKey = "1015", 401, "the call has no key, or one that is not known";
    /// The key was revoked or has expired.
    KeyRevoked = "1016", 401, "the key was revoked or has expired";
    /// The key's allow-list does not have this.
    NotAllowed = "1017", 403, "the key may not use this";
    /// Requests a minute.
    RequestRate = "1018", 429, "the key's requests a minute are used up";
    /// Tokens a minute.
    TokenRate = "1019", 429, "the key's tokens a minute are used up";
    /// The budget.
    BudgetSpent = "1020", 429, "the key's budget is spent";
    /// `previous_response_id` was not given out here.
    UnknownResponse = "1021", 400, "this previous response is not known here";
    /// Nobody has proven what a context header says.
    ContextRefused = "1022", 403, "the caller context of the request is not proven";
    /// The budget of an entry of `models`.
    ModelBudgetSpent = "1023", 429, "the model's budget is spent";

    /// No candidate may answer this call.
    NoCandidate = "2001", 503, "no target may answer this call now";
    /// Every target is at its limit and its queue is full.
    AllBusy = "2002", 503, "every target is busy and its queue is full";
    /// The retry budget is used up.
    RetryBudget = "2003", 503, "the first target failed and the retry budget is used up";
    /// The gateway is stopping.
    Draining = "2004", 503, "the gateway is stopping";
    /// The caller's deadline or the model's total time passed.
    Deadline = "2005", 504, "the call's time was used up";
    /// Too many calls at once.
    Overloaded = "2006", 503, "the gateway holds as many calls as it may";
    /// A defect of the gateway.
    Internal = "2007", 500, "the gateway itself failed";

    /// The provider could not be reached.
    Unreachable = "3001", 503, "the provider could not be reached";
    /// TLS with the provider failed.
    Tls = "3002", 502, "the provider's TLS certificate or handshake was not acceptable";
    /// The provider was too slow.
    TooSlow = "3003", 504, "the provider did not answer in time";
    /// The provider refused its key.
    KeyRefused = "3004", 502, "the provider refused the key that the gateway holds for it";
    /// The provider's rate limit.
    RateLimited = "3005", 429, "the provider's rate limit is reached";
    /// The provider failed.
    ProviderFailed = "3006", 502, "the provider failed";
    /// The provider's answer is not an answer.
    BadAnswer = "3007", 502, "the provider's answer cannot be used";
    /// The stream broke off.
    StreamCut = "3008", 502, "the provider's stream broke off before its end";
    /// The stream stalled.
    StreamStalled = "3009", 504, "the provider's stream stalled";
    /// An error event inside the stream.
    StreamError = "3010", 502, "the provider reported an error inside its stream";
    /// The answer is over the limit.
    AnswerTooLarge = "3011", 502, "the provider's answer is over the limit";
    /// A redirect.
    Redirected = "3012", 502, "the provider answered with a redirect, which is not followed";
    /// The provider rejected the request.
    Rejected = "3013", 400, "the provider rejected the request";
    /// A quality gate holds the answer back.
    NotFitToGive = "3014", 502, "the provider's answer failed the model's quality gates";

    /// The file cannot be read or is not YAML.
    ConfigUnreadable = "4001", 500, "the configuration cannot be read";
    /// An unknown key.
    ConfigUnknownKey = "4002", 500, "the configuration has an unknown key";
    /// A value of the wrong type or out of bounds.
    ConfigBadValue = "4003", 500, "a value in the configuration is not acceptable";
    /// A name that refers to nothing.
    ConfigUnknownName = "4004", 500, "the configuration refers to a name that does not exist";
    /// A section whose part is not built.
    ConfigNotBuilt = "4005", 500, "the configuration asks for a part that is not built yet";
    /// `listen` is open to others and nothing guards it.
    ConfigOpenListen = "4006", 500, "listen is not loopback and nothing guards it";
    /// The address cannot be bound.
    CannotListen = "4007", 500, "the address to listen on cannot be taken";
    /// The data directory cannot be used.
    DataDir = "4008", 500, "the data directory cannot be used";

    /// A proxy cannot be reached.
    ProxyUnreachable = "5001", 503, "a proxy on the way could not be reached";
    /// A proxy did not open the way.
    ProxyFailed = "5002", 502, "a proxy on the way did not let the connection through";
    /// A proxy wants a login.
    ProxyLogin = "5003", 502, "a proxy on the way does not accept how the gateway logs in";
    /// A type that is not built.
    WayNotBuilt = "5004", 502, "the way out is of a type that is not built";
    /// REJECT and its like.
    WayRejected = "5005", 502, "the way out does not let this through";
    /// No end.
    WayBroken = "5006", 502, "the way out leads nowhere";
    /// PAC.
    WayScript = "5007", 503, "the script that picks the proxy could not be used";

    /// Neither here nor upstream.
    ModuleMissing = "6001", 404, "there is no such module or version";
    /// The rules of the document.
    ModuleLeftOut = "6002", 403, "the rules leave this module or version out";
    /// Sums, zip rules, the checksum database.
    ModuleUnverified = "6003", 403, "what the upstream sent is not what it has to be";
    /// Not of the GOPROXY protocol.
    ModulePath = "6004", 404, "this is no request of the module proxy protocol";
    /// An upstream answered with an error, or with something else than was asked for.
    ModuleUpstream = "6005", 502, "the upstream of the module failed";
    /// Disk full, or broken.
    ModuleStorage = "6006", 500, "the module could not be stored";

    /// Never written, or deleted.
    StateMissing = "7001", 404, "there is no such state";
    /// Expired, or a revision that is not kept any more.
    StateGone = "7002", 410, "the state or this revision of it is gone";
    /// `If-Match` or `If-None-Match` does not hold.
    StateLost = "7003", 412, "the state is another one than the write expects";
    /// Neither `If-Match` nor `If-None-Match`.
    StateConditionless = "7004", 428, "a write has to say what it replaces";
    /// The epoch of the writer is older than the state's.
    StateFenced = "7005", 409, "the state was handed over to somebody else";
    /// Over `max-value`.
    StateTooLarge = "7006", 413, "the value is over the limit of its namespace";
    /// A namespace, key, content type, schema or revision that cannot be one.
    StateName = "7007", 400, "a name or number of the request cannot be one";
    /// The schema is newer than the reader knows.
    StateSchema = "7008", 409, "the state has a schema that its reader does not know";
    /// A JSON Patch, append or merge that does not apply.
    StateBadPatch = "7009", 422, "the change cannot be applied to the state";
    /// The hash is not that of the content.
    StateDamaged = "7010", 500, "what is stored is not what was written";
    /// No answer from the engine after the write was sent.
    StateUnknown = "7011", 503, "whether the write happened is not known";
    /// The engine cannot be reached.
    StateUnavailable = "7012", 503, "the store of state cannot be used now";
    /// The disk or the server is full.
    StateFull = "7013", 507, "the store of state is full";
    /// The changes from there on are not kept any more.
    StateWatchGone = "7014", 410, "the changes since then are not kept any more";
    /// Not a token of this store, or one that was changed.
    HandoffForged = "7015", 403, "this is no hand-off token of this store";
    /// After its end, or before it was made.
    HandoffLate = "7016", 410, "the hand-off token is not of this time";
    /// The same token again.
    HandoffRedeemed = "7017", 409, "the hand-off token was redeemed already";
    /// A token from before another hand-off.
    HandoffReplayed = "7018", 409, "the state was handed over by another token since";
    /// The holder wrote after asking for the token.
    HandoffStale = "7019", 409, "the state was changed after the hand-off token was made";
    /// Too much waits to be written, or too many write the same key.
    StateBusy = "7020", 503, "too many writes at once";
    /// What it is sealed with is not known.
    StateSealed = "7021", 500, "the state is sealed with a key that the gateway does not have";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
    }
}
