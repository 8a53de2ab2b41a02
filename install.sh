#!/usr/bin/env bash
# Installs git-pw for one user, without root, and runs its demo and its tests: see ./install.sh --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
: "${HOME:?is not set}"
SHARE=${XDG_DATA_HOME:-$HOME/.local/share}
BIN=${GITPW_BIN:-$HOME/.local/bin}
[ "${BIN#/}" != "$BIN" ] || BIN=$PWD/$BIN
MAN=$HOME/.local/share/man/man1
HOUSE=$SHARE/git-pw
INSTALLED=$HOUSE/installed # what was made outside of the environment: "link PATH" and "folder PATH", in order
CHECKOUT=$ROOT/.venv
FOUND= # the Python that find_python chose

usage() {
  cat <<'EOF'
usage: ./install.sh              install git-pw for this user, or upgrade it
       ./install.sh uninstall    undo that
       ./install.sh demo         show three workers at work, on a throw-away repository
       ./install.sh test [ARG]…  install what the tests need and run them (ARG: for pytest)

Needs git 2.38, Python 3.11 with pip. An installation is an environment of its own in
${XDG_DATA_HOME:-~/.local/share}/git-pw, a link in ${GITPW_BIN:-~/.local/bin} and one to the man page.
demo and test use .venv in this folder instead.

PYTHON       the Python to use                 (python3, else the newest that is found)
GITPW_BIN    where to put the link to git-pw   (~/.local/bin)
EOF
}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $1"
  [ -z "${2:-}" ] || say "hint: $2"
  exit 1
}

# --- what must be there ---------------------------------------------------------------------------------------------

check_git() {
  local version major minor
  command -v git >/dev/null || die "git is missing" "install git 2.38 or newer"
  version=$(git version)
  version=${version#git version }
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -lt 38 ]; }; then
    die "git $version is too old" "install git 2.38 or newer"
  fi
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.15 python3.14 python3.13 python3.12 python3.11 python}; do
    if is_new_enough "$name"; then
      FOUND=$name
      return
    fi
  done
  die "${PYTHON:-python3} is missing or older than 3.11" "install Python 3.11 or newer, or name one: PYTHON=/path/to/python3.12 ./install.sh"
}

# --- an isolated environment ----------------------------------------------------------------------------------------

# What an environment was made from: another answer, and it is brought up to date.
fingerprint() {
  { cat "$ROOT/pyproject.toml" && printf '%s %s' "$ROOT" "$("$FOUND" --version)"; } | cksum
}

is_complete() { # ENV KIND: was it finished, from these same files, and does it run?
  [ -f "$1/complete-$2" ] && [ "$(cat "$1/complete-$2")" = "$(fingerprint)" ] &&
    "$1/bin/python" -c 'import gitpw' >/dev/null 2>&1
}

is_usable() { # ENV: can pip go on in it? Not if it was left half made, or was moved: its programs name its old place.
  [ ! -e "$1/incomplete" ] && { [ ! -e "$1/made-for" ] || [ "$(cat "$1/made-for")" = "$1" ]; } && is_new_enough "$1/bin/python" && "$1/bin/python" -m pip --version >/dev/null 2>&1
}

new_environment() { # ENV
  if [ -e "$1" ]; then
    [ -f "$1/pyvenv.cfg" ] || [ -e "$1/incomplete" ] || die "$1 is in the way" "it is no Python environment: move it away"
    say "$1 is incomplete or was moved: making it anew"
    rm -rf "$1"
  fi
  mkdir -p "$1"
  : >"$1/incomplete"
  "$FOUND" -m venv "$1" >/dev/null 2>&1 || without_ensurepip "$1"
  printf '%s\n' "$1" >"$1/made-for"
}

without_ensurepip() { # ENV: Debian's Python has a pip, but can't put one into an environment without python3-venv
  "$FOUND" -m venv --clear --without-pip "$1" || die "$FOUND can't make an environment" "install its venv module (Debian: python3-venv)"
  : >"$1/incomplete"
  "$FOUND" -m pip --python "$1/bin/python" install --quiet --disable-pip-version-check pip ||
    die "$FOUND has no pip" "install pip (Debian: python3-pip or python3-venv)"
}

pip_once() { # ENV ARGUMENT…: the user's own pip settings hold, but not those that point elsewhere
  local env=$1
  shift
  PIP_USER=0 PIP_TARGET='' PIP_PREFIX='' "$env/bin/python" -m pip install \
    --quiet --quiet --disable-pip-version-check --no-input --timeout 60 --retries 5 "$@" </dev/null
}

pip() { # ENV ARGUMENT…
  pip_once "$@" && return
  say "pip failed; trying once more"
  pip_once "$@" || die "pip could not install git-pw" "see its message above; run this again when the network is back"
}

fill() { # ENV KIND ARGUMENT…: make or repair the environment, and install
  local env=$1 kind=$2
  shift 2
  is_usable "$env" || new_environment "$env"
  : >"$env/incomplete"
  rm -f "$env"/complete-*
  say "installing into $env …"
  pip "$env" "$@"
  fingerprint >"$env/complete-$kind"
  rm -f "$env/incomplete"
}

checkout_environment() { # KIND: "base" or "dev"
  unset PYTHONHOME PYTHONPATH
  check_git
  find_python
  if is_complete "$CHECKOUT" dev; then return; fi
  if [ "$1" = dev ]; then
    fill "$CHECKOUT" dev --editable "${ROOT}[dev]"
  elif ! is_complete "$CHECKOUT" base; then
    fill "$CHECKOUT" base --editable "$ROOT"
  fi
}

# --- for one user ---------------------------------------------------------------------------------------------------

note() { grep -qxF "$1" "$INSTALLED" 2>/dev/null || printf '%s\n' "$1" >>"$INSTALLED"; }

make_folder() { # FOLDER: notes each one that wasn't there, so that uninstall leaves no empty ones
  [ ! -d "$1" ] || return 0
  make_folder "$(dirname "$1")"
  mkdir "$1"
  made+=("$1")
}

is_ours() { [ -L "$1" ] && [ "$(readlink "$1")" = "$2" ]; } # LINK TARGET

check_free() { # LINK TARGET
  is_ours "$1" "$2" || { [ ! -e "$1" ] && [ ! -L "$1" ]; } ||
    die "$1 exists and isn't this git-pw" "move it away, or choose another folder: GITPW_BIN=~/bin ./install.sh"
}

put_link() { # LINK TARGET
  is_ours "$1" "$2" || ln -s "$2" "$1"
  note "link $1"
}

install_for_user() {
  local made=() folder page=$HOUSE/venv/share/man/man1/git-pw.1
  unset PYTHONHOME PYTHONPATH
  check_git
  find_python
  check_free "$BIN/git-pw" "$HOUSE/venv/bin/git-pw"
  make_folder "$HOUSE"
  make_folder "$BIN"
  make_folder "$MAN"
  for folder in ${made[@]+"${made[@]}"}; do note "folder $folder"; done
  fill "$HOUSE/venv" user --upgrade "$ROOT"
  put_link "$BIN/git-pw" "$HOUSE/venv/bin/git-pw"
  if [ -f "$page" ] && { is_ours "$MAN/git-pw.1" "$page" || [ ! -e "$MAN/git-pw.1" ]; }; then
    put_link "$MAN/git-pw.1" "$page"
  fi
  say "git-pw is installed: $BIN/git-pw"
  tell_about_path
}

tell_about_path() {
  local first
  case ":$PATH:" in
  *":$BIN:"*) ;;
  *)
    say "$BIN isn't on your PATH: add it, or \`git pw\` isn't found. For example, in ~/.profile:"
    say "    export PATH=\"$BIN:\$PATH\""
    return
    ;;
  esac
  hash -r
  first=$(command -v git-pw || true)
  [ "$first" = "$BIN/git-pw" ] || say "note: another git-pw comes first on your PATH: $first"
}

uninstall() {
  local kind path lines=() number
  if [ ! -e "$HOUSE/venv" ] && [ ! -e "$INSTALLED" ]; then
    say "git-pw isn't installed for this user"
    return
  fi
  if [ -f "$INSTALLED" ]; then
    while read -r kind path; do lines=("$kind $path" ${lines[@]+"${lines[@]}"}); done <"$INSTALLED"
  fi
  for number in ${lines[@]+"${!lines[@]}"}; do
    path=${lines[number]#link }
    case $(readlink "$path" 2>/dev/null || true) in
    "$HOUSE"/venv/*) rm -f "$path" ;;
    esac
  done
  rm -rf "$HOUSE/venv" "$INSTALLED"
  rmdir "$HOUSE" 2>/dev/null || true
  for number in ${lines[@]+"${!lines[@]}"}; do # the newest first: a folder after what is in it
    path=${lines[number]#folder }
    [ "$path" = "${lines[number]}" ] || rmdir "$path" 2>/dev/null || true # not empty: somebody else uses it
  done
  say "git-pw is uninstalled"
}

# --- demo and tests -------------------------------------------------------------------------------------------------

demo() {
  checkout_environment base
  PATH=$CHECKOUT/bin:$PATH exec "$CHECKOUT/bin/git-pw" demo "$@"
}

has() { PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin command -v "$1" >/dev/null; }

missing_packages() { # Debian's names of what the tests use and this machine lacks
  local pair
  for pair in lighttpd:lighttpd sshd:openssh-server ssh:openssh-client gpg:gnupg openssl:openssl shellcheck:shellcheck \
    zsh:zsh fish:fish groff:groff-base node:nodejs npm:npm gitolite:gitolite3; do
    has "${pair%%:*}" || printf '%s ' "${pair#*:}"
  done
  has chromium-headless-shell || has chromium || has chromium-browser || has google-chrome || printf 'chromium-headless-shell '
  [ -n "$(find /usr/lib /usr/lib64 /usr/local/lib /opt/homebrew/lib -maxdepth 2 -path '*/lighttpd/mod_openssl.so' 2>/dev/null)" ] ||
    printf 'lighttpd-mod-openssl '
  [ -n "$(find /usr/lib /usr/lib64 /usr/local/lib /opt/homebrew/lib -maxdepth 3 -name 'libfaketime*.1*' 2>/dev/null)" ] ||
    printf 'libfaketime '
  [ -x "$(git --exec-path)/git-daemon" ] && [ -x "$(git --exec-path)/git-http-backend" ] || printf 'git '
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

install_packages() { # PACKAGE…: the tests start servers of their own, so none is started or enabled here
  local policy=/usr/sbin/policy-rc.d package known=()
  say "installing Debian packages: $*"
  if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2064 # expanded now, as it should be
    trap "as_root rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root apt-get -qq update </dev/null || true
  for package in "$@"; do # one name that isn't known here, and apt-get would install none of them
    if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); fi
  done
  set -- ${known[@]+"${known[@]}"}
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@" </dev/null >&2 || say "apt-get failed"
  if [ -d /run/systemd/system ]; then
    for package in "$@"; do
      case $package in
      lighttpd) as_root systemctl --quiet disable lighttpd || true ;;
      openssh-server) as_root systemctl --quiet disable ssh || true ;;
      esac
    done
  fi
}

test_packages() {
  local packages
  read -r -a packages <<<"$(missing_packages)"
  [ ${#packages[@]} -gt 0 ] || return 0
  if may_install; then
    (install_packages "${packages[@]}")
    read -r -a packages <<<"$(missing_packages)"
    [ ${#packages[@]} -gt 0 ] || return 0
  fi
  say "missing, by Debian's names: ${packages[*]}"
  say "tests that need them are skipped here, and fail when CI=true"
}

run_tests() {
  check_git
  test_packages
  checkout_environment dev
  cd "$ROOT"
  PATH=$CHECKOUT/bin:$PATH exec "$CHECKOUT/bin/python" -m pytest -n 4 --dist loadgroup "$@"
}

main() {
  case ${1:-} in
  '') install_for_user ;;
  uninstall) uninstall ;;
  demo) demo "${@:2}" ;;
  test) run_tests "${@:2}" ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
  esac
}

main "$@"
