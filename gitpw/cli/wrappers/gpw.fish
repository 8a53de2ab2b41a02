# `gpw` for fish: as `git pw`, and it takes the shell along. Load it with: git pw shell-init fish | source
#   gpw claim …     claims, and goes to the worktree
#   gpw cd [TASK]   goes to a task's worktree; without TASK to the main checkout
function gpw --wraps git-pw --description 'git pw, which takes the shell along'
    set -l words $argv
    switch "$argv[1]"
        case cd
            set words worktree path $argv[2..]
        case claim
            for word in $argv
                if contains -- $word --json --dry-run --no-worktree --print-path -h --help
                    command git-pw $argv
                    return
                end
            end
            set words claim --print-path $argv[2..]
        case '*'
            command git-pw $argv
            return
    end
    set -l there (command git-pw $words | string collect)
    set -l failed $pipestatus[1]
    test $failed -eq 0; or return $failed
    cd -- $there
end
