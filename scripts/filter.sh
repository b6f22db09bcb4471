#!/bin/sh
# Filter JSON lines {"text": ..., "label": ...}, such as those of preprocess_sentiment140.sh, line by line.
#
#     scripts/filter.sh [--label L] [--min-length N] [--max-length N] [--pattern REGEX] [--ignore-case] [FILE...]
#
# Lengths are in characters. Without a FILE it reads the standard input. Rows keep their order.
set -eu

usage() {
    echo "filter: $1" >&2
    echo "usage: filter.sh [--label L] [--min-length N] [--max-length N] [--pattern REGEX] [--ignore-case] [FILE...]" >&2
    exit 2
}

label='' min_length='' max_length='' pattern='' flags=''
while [ $# -gt 0 ]; do
    case $1 in
        --label | --min-length | --max-length | --pattern)
            [ $# -ge 2 ] || usage "$1 needs a value."
            case $1 in
                --label) label=$2 ;;
                --min-length) min_length=$2 ;;
                --max-length) max_length=$2 ;;
                --pattern) pattern=$2 ;;
            esac
            shift 2
            ;;
        --ignore-case) flags=i && shift ;;
        --) shift && break ;;
        -?*) usage "unknown option $1." ;;
        *) break ;;
    esac
done
case $min_length$max_length in
    *[!0-9]*) usage "a length is a whole number, got '$min_length' and '$max_length'." ;;
esac
command -v jq >/dev/null || { echo "filter: this needs jq; install it with your system's packages." >&2 && exit 2; }
# Once, lest a pattern that is no regular expression fails again on every row.
jq --null-input --arg pattern "$pattern" '"" | test($pattern) | empty' 2>/dev/null || usage "not a pattern: '$pattern'."
exec jq --compact-output --from-file "$(dirname "$0")/filter.jq" --arg only "$label" --arg min_length "$min_length" \
    --arg max_length "$max_length" --arg pattern "$pattern" --arg flags "$flags" -- "$@"
