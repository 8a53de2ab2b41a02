# Completion of `git-pw` and `git pw` for fish. Put it into ~/.config/fish/completions/git-pw.fish,
# and a line `source ~/.config/fish/completions/git-pw.fish` into config.fish for `git pw`.

# The words behind `git-pw` or `git pw`, up to the cursor, one a line; fails where the cursor isn't behind either.
function __git_pw_words
    set -l words (commandline -opc)
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if contains -- (path basename -- $word) git-pw pw
            string join0 -- $words (commandline -ct)
            return 0
        end
    end
    return 1
end

# Ask git-pw what may stand where the cursor is.
function __git_pw_complete
    set -l words (__git_pw_words | string split0)
    set -lx _GIT_PW_COMPLETE words
    for line in (command git-pw $words 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case file
                __fish_complete_path (commandline -ct)
            case plain
                printf '%s\t%s\n' $parts[2] $parts[3]
        end
    end
end

complete --no-files --command git-pw --arguments '(__git_pw_complete)'
complete --command git --condition 'not __git_pw_words >/dev/null' --arguments pw \
    --description 'many workers on one repository'
complete --no-files --command git --condition '__git_pw_words >/dev/null' --arguments '(__git_pw_complete)'
