# Adds the names of nodes, asked from the running supervisor, to what _supervisor completes.
_supervisor_with_names() {
    _supervisor "$@"
    local word command="" previous="" target=() kept=()
    # The placeholders of values ([SEL]..., <FILE>) are no words to type.
    for word in "${COMPREPLY[@]}"; do
        [[ "$word" == [\[\<]* ]] || kept+=("$word")
    done
    COMPREPLY=("${kept[@]}")
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ "$word" == "=" ]] && continue
        case "$previous" in
            --run-dir|--socket) target=("$previous" "$word") ;;
        esac
        case "$word" in
            @COMMANDS@) [[ -z "$command" ]] && command="$word" ;;
        esac
        previous="$word"
    done
    case "$previous" in
        -n|--lines|--since|--fd|--for|--grace|--timeout|--run-dir|--socket|--rolling) return 0 ;;
        signal) return 0 ;;
    esac
    if [[ -n "$command" && "$2" != -* ]]; then
        COMPREPLY+=($(compgen -W "$("${COMP_WORDS[0]}" __names "${target[@]}" 2>/dev/null)" -- "$2"))
    fi
    return 0
}

complete -F _supervisor_with_names -o bashdefault -o default supervisor
