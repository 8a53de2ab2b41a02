# `gpw` for bash and zsh: as `git pw`, and it takes the shell along. Load it with: eval "$(git pw shell-init bash)"
#   gpw claim …     claims, and goes to the worktree
#   gpw cd [TASK]   goes to a task's worktree; without TASK to the main checkout
gpw() {
    case ${1-} in
        cd)
            shift
            set -- worktree path "$@"
            ;;
        claim)
            case " $* " in
                *" --json "* | *" --dry-run "* | *" --no-worktree "* | *" --print-path "* | *" -h "* | *" --help "*)
                    command git-pw "$@"
                    return
                    ;;
            esac
            shift
            set -- claim --print-path "$@"
            ;;
        *)
            command git-pw "$@"
            return
            ;;
    esac
    local there
    # The dot keeps line ends at the end of the path, which "$(…)" would cut off.
    there=$(command git-pw "$@" && printf .) || return
    there=${there%.}
    CDPATH='' cd -- "${there%
}"
}
