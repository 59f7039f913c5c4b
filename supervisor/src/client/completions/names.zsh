
# The names of nodes, asked from the running supervisor.
_supervisor_names() {
    local -a names target
    local -i at
    for (( at = 2; at < CURRENT; at++ )); do
        case "${words[at]}" in
            --run-dir|--socket) target=("${words[at]}" "${words[at+1]}") ;;
            --run-dir=*|--socket=*) target=("${words[at]}") ;;
        esac
    done
    names=(${(f)"$(_call_program names supervisor __names ${(q)target} 2>/dev/null)"})
    compadd -a names
}
