//! The causes, by their number in the catalogue.

use serde::{Serialize, Serializer};

/// Why something does not work. The number of each is public: it is what `--json` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Nothing of the catalogue; the title says what it is.
    Other = 0,
    /// The name of a host does not resolve.
    HostNotFound = 1,
    /// The resolver answers for this name with an address that cannot be right.
    SplitDns = 2,
    /// Nothing listens at the address.
    ConnectionRefused = 3,
    /// Packets to the address disappear.
    SilentDrop = 4,
    /// A connection is there, and no answer comes.
    SlowAnswer = 5,
    /// Somebody on the way issues certificates that the system does not know.
    UnknownAuthority = 6,
    /// The system has no root certificates at all.
    NoRootCertificates = 7,
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` points to nothing of use.
    BadCertFile = 8,
    /// The certificate is one of another host.
    WrongCertificateName = 9,
    /// The clock is wrong, so certificates are expired or not valid yet.
    ClockSkew = 10,
    /// The connection is reset as soon as the host's name is said in it.
    ResetInHello = 11,
    /// `https` to a port that speaks plain HTTP.
    HttpsToHttpPort = 12,
    /// `http` to a port that speaks TLS.
    HttpToHttpsPort = 13,
    /// A page for people in place of an answer.
    LoginPage = 14,
    /// A redirect from `https` to `http`.
    RedirectToHttp = 15,
    /// More than ten redirects.
    TooManyRedirects = 16,
    /// 403 from something on the way.
    Forbidden = 17,
    /// 403 of the module proxy, for one module.
    ForbiddenByPolicy = 18,
    /// 401: the module proxy wants to know who asks.
    Unauthorized = 19,
    /// User and password in a `http` URL, which go refuses to send.
    CredentialsOverHttp = 20,
    /// The HTTP proxy asks for a login on CONNECT.
    ProxyAuthOnConnect = 21,
    /// The HTTP proxy asks for a login on a plain request.
    ProxyAuthOnHttp = 22,
    /// The HTTP proxy offers only logins that go does not speak.
    ProxyAuthNotSpoken = 23,
    /// No Kerberos ticket, or none that is good.
    NoKerberosTicket = 24,
    /// `https` as the scheme of an HTTP proxy without TLS.
    HttpsToPlainProxy = 25,
    /// The HTTP proxy does not answer.
    DeadHttpProxy = 26,
    /// Characters in the proxy's password that have to be encoded.
    ProxyPasswordCharacters = 27,
    /// A proxy script where a proxy belongs.
    PacAsProxy = 28,
    /// Only `ALL_PROXY` is set, which go does not read.
    OnlyAllProxy = 29,
    /// Only `HTTP_PROXY` is set, and the target is `https`.
    OnlyHttpProxy = 30,
    /// The proxy is known to the system, not to the environment.
    ProxyOnlyInSystem = 31,
    /// `NO_PROXY` covers a host that only the proxy reaches.
    NoProxySwallows = 32,
    /// A loopback address, which is never asked for through a proxy.
    LocalhostNeverProxied = 33,
    /// `HTTPS_PROXY` and `https_proxy` differ.
    ProxyCaseConflict = 34,
    /// `GOPROXY` is no list of URLs.
    GoproxySyntax = 35,
    /// A scheme in `GOPROXY` that go does not speak.
    GoproxyScheme = 36,
    /// `GOPROXY` has no entries.
    GoproxyEmpty = 37,
    /// `GOPROXY=off`.
    GoproxyOff = 38,
    /// A comma where the next entry was meant to be asked after an error.
    CommaNotPipe = 39,
    /// The process's environment hides what `go env -w` has set.
    EnvOverridesFile = 40,
    /// This process's environment is not that of the user's other shells.
    OtherEnvironment = 41,
    /// A private module is asked for at a public proxy.
    PrivateModulePublicProxy = 42,
    /// A private module is looked up in the public checksum database.
    PrivateModuleSumdb = 43,
    /// `GOPRIVATE` or `GONOPROXY` goes around the proxy that has the module.
    PrivateBypassesProxy = 44,
    /// A pattern that does not match what it was written for.
    PatternDoesNotMatch = 45,
    /// Direct downloads without git.
    NoGit = 46,
    /// git is not let in.
    GitCannotAuthenticate = 47,
    /// git leaves another way than go.
    GitOtherProxy = 48,
    /// `GOVCS` forbids the version control system.
    GovcsForbids = 49,
    /// The checksum database cannot be reached, and the module proxy does not pass it on.
    SumdbUnreachable = 50,
    /// The module proxy fails for the checksum database.
    SumdbProxyError = 51,
    /// `GOSUMDB` is no verifier key.
    GosumdbMalformed = 52,
    /// A toolchain is to be downloaded with the checksum database switched off.
    ToolchainWithoutSumdb = 53,
    /// The toolchain is not on the mirror.
    ToolchainMissing = 54,
    /// The go command is older than the module wants, and may not get another.
    ToolchainTooOld = 55,
    /// What is downloaded differs from `go.sum`.
    GoSumMismatch = 56,
    /// What is downloaded differs from the checksum database.
    SumdbMismatch = 57,
    /// The checksum database contradicts itself.
    SumdbMisbehaves = 58,
    /// `go.sum` lacks a line.
    GoSumEntryMissing = 59,
    /// A file of the module cache is damaged.
    CorruptCache = 60,
    /// A download ends early.
    TruncatedTransfer = 61,
    /// The module cache cannot be written, or its disk is full.
    CacheNotWritable = 62,
    /// There is no such module, or no such version of it.
    NoSuchVersion = 63,
    /// The module's path is written in other letters.
    WrongCase = 64,
    /// 429: too many requests.
    RateLimited = 65,
    /// 451 or 410: taken down.
    Gone = 66,
    /// Flags or a `vendor` folder that keep modules from being downloaded.
    VendorMode = 67,
    /// `GO111MODULE=off`.
    ModulesOff = 68,
    /// Large packets or IPv6 get lost.
    PathMtu = 69,
    /// A go command with known holes in its checks.
    OldGo = 70,
}

impl Cause {
    /// Every cause of the catalogue, by number.
    pub const ALL: [Self; 70] = {
        use Cause::*;
        [
            HostNotFound,
            SplitDns,
            ConnectionRefused,
            SilentDrop,
            SlowAnswer,
            UnknownAuthority,
            NoRootCertificates,
            BadCertFile,
            WrongCertificateName,
            ClockSkew,
            ResetInHello,
            HttpsToHttpPort,
            HttpToHttpsPort,
            LoginPage,
            RedirectToHttp,
            TooManyRedirects,
            Forbidden,
            ForbiddenByPolicy,
            Unauthorized,
            CredentialsOverHttp,
            ProxyAuthOnConnect,
            ProxyAuthOnHttp,
            ProxyAuthNotSpoken,
            NoKerberosTicket,
            HttpsToPlainProxy,
            DeadHttpProxy,
            ProxyPasswordCharacters,
            PacAsProxy,
            OnlyAllProxy,
            OnlyHttpProxy,
            ProxyOnlyInSystem,
            NoProxySwallows,
            LocalhostNeverProxied,
            ProxyCaseConflict,
            GoproxySyntax,
            GoproxyScheme,
            GoproxyEmpty,
            GoproxyOff,
            CommaNotPipe,
            EnvOverridesFile,
            OtherEnvironment,
            PrivateModulePublicProxy,
            PrivateModuleSumdb,
            PrivateBypassesProxy,
            PatternDoesNotMatch,
            NoGit,
            GitCannotAuthenticate,
            GitOtherProxy,
            GovcsForbids,
            SumdbUnreachable,
            SumdbProxyError,
            GosumdbMalformed,
            ToolchainWithoutSumdb,
            ToolchainMissing,
            ToolchainTooOld,
            GoSumMismatch,
            SumdbMismatch,
            SumdbMisbehaves,
            GoSumEntryMissing,
            CorruptCache,
            TruncatedTransfer,
            CacheNotWritable,
            NoSuchVersion,
            WrongCase,
            RateLimited,
            Gone,
            VendorMode,
            ModulesOff,
            PathMtu,
            OldGo,
        ]
    };

    /// Its number in the catalogue, 1 to 70; 0 for what is not in it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole_and_in_order() {
        for (index, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(usize::from(cause.number()), index + 1, "{cause:?}");
        }
    }
}
