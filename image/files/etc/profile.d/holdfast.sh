# What bash completes commands of holdfast with.
if [ -n "${BASH_VERSION-}" ] && [ -r /usr/share/bash-completion/completions/holdfast ]; then
    . /usr/share/bash-completion/completions/holdfast
fi
