# Completion of `git-pw` and `git pw` for bash. Load it with: eval "$(git pw completion bash)"

# Ask git-pw what may stand in place of the last of these words; each answer is "kind<Tab>value<Tab>help".
__git_pw_ask() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default 2>/dev/null ;;
        esac
    done < <(_GIT_PW_COMPLETE=words command git-pw "$@" 2>/dev/null)
}

# `git-pw …`
__git_pw_complete() {
    __git_pw_ask "${COMP_WORDS[@]:1:COMP_CWORD}"
}

# `git pw …`: git's own completion calls this, with its words and the place of the current one.
_git_pw() {
    local here=${__git_cmd_idx:-0}
    if [ "$here" -eq 0 ]; then
        while [ "$here" -lt "$cword" ] && [ "${words[here]}" != pw ]; do
            here=$((here + 1))
        done
    fi
    __git_pw_ask "${words[@]:here+1:cword-here}"
}

complete -o nosort -F __git_pw_complete git-pw 2>/dev/null || complete -F __git_pw_complete git-pw
