#!/bin/sh
# The raw Sentiment140 file to clean, sampled JSON lines: {"text": ..., "label": 0 | 1}, 0 negative, 1 positive.
#
#     scripts/preprocess_sentiment140.sh [-n ROWS] [-s SEED] [-o OUTPUT] FILE
#
#     -n ROWS    rows of a sample, as many of each class as the file has in proportion; 0, the default: all
#     -s SEED    another seed draws another sample; default 42
#     -o OUTPUT  appears whole or not at all; default -, the standard output
#     FILE       .csv, or the same as .csv.gz, .csv.xz or .zip
#
# Needs a POSIX shell, awk and iconv, and writes the very rows that `linnet prepare --sample ROWS
# --set data.repair=false` trains and validates on: one text path in two languages, held together by a test. Where they
# could part (Unicode that needs a normal form, a row of another shape) this script stops and says so.
set -eu
LC_ALL=C
export LC_ALL

fail() {
    echo "preprocess_sentiment140: $1" >&2
    exit 3
}

usage() {
    echo "preprocess_sentiment140: $1" >&2
    echo "usage: preprocess_sentiment140.sh [-n ROWS] [-s SEED] [-o OUTPUT] FILE(.csv, .csv.gz, .csv.xz, .zip)" >&2
    exit 2
}

number() {
    case $2 in
        '' | *[!0-9]* | 0?* | ????????????????*) usage "$1 takes a whole number below 10^15, got '$2'." ;;
    esac
}

rows=0 seed=42 output=-
while getopts n:s:o: option; do
    case $option in
        n) rows=$OPTARG ;;
        s) seed=$OPTARG ;;
        o) output=$OPTARG ;;
        *) usage "unknown option." ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || usage "expected one file, got $#."
number -n "$rows"
number -s "$seed"
input=$1
entities=$(dirname "$0")/entities.tsv
[ -f "$input" ] || fail "the file $input does not exist."
[ -s "$input" ] || fail "the file $input is empty."
[ -f "$entities" ] || fail "$entities is missing; it belongs beside this script."

work=$(mktemp -d "${TMPDIR:-/tmp}/sentiment140.XXXXXX")
part=
trap 'rm -rf "$work" ${part:+"$part"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A shell's pipe hides a failure of all but its last part, so each part leaves a word.
part_of_pipe() {
    "$@" || echo "$1" >>"$work/failed"
}

unpack() {
    case $input in
        *.xz) xz -dc -- "$input" ;;
        *.gz) gzip -dc -- "$input" ;;
        *.zip)
            if [ "$(unzip -Z1 "$input" | grep -vc -e '/$' -e '^__MACOSX/')" -ne 1 ]; then
                echo "preprocess_sentiment140: $input: expected exactly one file inside." >&2
                return 1
            fi
            unzip -p "$input" -x '__MACOSX/*'
            ;;
        *.csv) cat -- "$input" ;;
        *)
            echo "preprocess_sentiment140: expected a .csv, .csv.gz, .csv.xz or .zip file, got $input." >&2
            return 1
            ;;
    esac
}

# In latin-1 each control character and each white space is one byte, so they go before the bytes are decoded.
without_controls() {
    tr -d '\001-\010\016-\033\177-\204\206-\237'
}

with_plain_spaces() {
    tr '\011\013-\015\034-\037\205\240' '[ *]'
}

decode() {
    iconv -f ISO-8859-1 -t UTF-8
}

# awk can't carry a NUL, and its row has to be dropped, so it becomes a byte that no UTF-8 holds.
with_visible_nuls() {
    tr '\000' '\377'
}

# Gives: text TAB label. Mirrors linnet.data.sources.table and linnet.text.clean.
parse() {
    awk -v entities="$entities" -v report="$work/report" '
        function stop(message) {
            print "preprocess_sentiment140: row " NR ": " message > "/dev/stderr"
            stopped = 1
            exit 3
        }
        function fields(line,    i, rest) {
            if (line ~ /^"[^"]*","[^"]*","[^"]*","[^"]*","[^"]*","[^"]*"$/)
                return split(substr(line, 2, length(line) - 2), field, "\",\"")
            rest = line ","
            for (i = 1; match(rest, /^"([^"]|"")*",/); i++) {
                field[i] = substr(rest, 2, RLENGTH - 3)
                gsub(/""/, "\"", field[i])
                rest = substr(rest, RLENGTH + 1)
            }
            return rest == "" ? i - 1 : 0
        }
        function fold(text) {
            gsub(/  +/, " ", text)
            sub(/^ /, "", text)
            sub(/ $/, "", text)
            return text
        }
        # UTF-8 of a code point, where the text stays in normal form C and visible whatever stands beside it.
        function character(code) {
            if (code == 9 || code == 10 || code == 13 || code == 32 || code == 160) return " "
            if (code > 32 && code < 127) return sprintf("%c", code)
            if (code > 160 && code < 768 || code > 912 && code < 930 || code > 930 && code < 938 || code > 944 && code < 970)
                return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
            if (code > 8207 && code < 8232 || code > 8239 && code < 8287 || code > 8447 && code < 8486 ||
                code > 8591 && code < 9001 || code > 9002 && code < 10972)
                return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
            if (code > 126975 && code < 130048)
                return sprintf("%c%c%c%c", 240, 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
            stop("the entity of U+" sprintf("%04X", code) " needs more of Unicode than this script knows; use: linnet prepare")
        }
        function named(name,    codes, count, i, result) {
            count = split(entity[name], codes, " ")
            for (i = 1; i <= count; i++) result = result character(codes[i])
            return result
        }
        function hexadecimal(digits,    i, value) {
            for (i = 1; i <= length(digits); i++)
                value = value * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
            return value
        }
        function resolve(reference,    digits) {
            if (reference !~ /^#/) return reference in entity ? named(reference) : "&" reference
            digits = reference
            gsub(/[#;]/, "", digits)
            return character(digits ~ /^[xX]/ ? hexadecimal(substr(digits, 2)) : digits + 0)
        }
        function unescaped(text,    result) {
            gsub(/&(amp;)+/, "\\&", text)
            result = ""
            while (match(text, /&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*;)/)) {
                result = result substr(text, 1, RSTART - 1) resolve(substr(text, RSTART + 1, RLENGTH - 1))
                text = substr(text, RSTART + RLENGTH)
            }
            return fold(result text)
        }
        function clean(text,    round, next_text, seen) {
            if (index(text, "\377")) return drop("nul_byte")
            text = fold(text)
            if (index(text, "&")) {
                for (round = 1; (next_text = unescaped(text)) != text; round++) {
                    if (round == 8) return drop("nested_entities")
                    text = next_text
                }
            }
            if (text ~ /^(\302\255| )*$/) return drop("empty_text")
            return text
        }
        function drop(reason) {
            dropped[reason]++
            return ""
        }
        BEGIN {
            while ((getline line < entities) > 0) {
                split(line, pair, "\t")
                entity[pair[1]] = pair[2]
            }
        }
        {
            sub(/ $/, "")
            if ($0 == "") { drop("blank_line"); next }
            if (fields($0) != 6) stop("expected six quoted fields: \"target\",\"ids\",\"date\",\"flag\",\"user\",\"text\"")
            if (field[1] != "0" && field[1] != "4") stop("expected the label 0 or 4, got " field[1])
            text = clean(field[6])
            if (text != "") print text "\t" (field[1] == "4")
        }
        END {
            if (stopped) exit 3
            for (reason in dropped) print reason "\t" dropped[reason] > report
            print "in\t" NR > report
        }
    '
}

# Gives: rank TAB label TAB text, one row a text: that of its majority, none where there is a tie.
# The rank is that of linnet.data.group.rank: two polynomials modulo 2^31 - 1, all below 2^53, where doubles are whole.
resolve_and_rank() {
    awk -F '\t' -v seed="$seed" -v report="$work/report" '
        function rank(text,    bytes, first, second, i, code) {
            bytes = length(text)
            first = second = 1
            for (i = 1; i <= bytes; i++) {
                code = byte[substr(text, i, 1)]
                first = (first * base1 + code) % prime
                second = (second * base2 + code) % prime
            }
            for (i = 0; i < 3; i++) {
                first = first * (base1 + first % 1048576) % prime
                second = second * (base2 + second % 1048576) % prime
            }
            return sprintf("%010d%010d", first, second)
        }
        function settle() {
            if (negative == positive) conflicting += negative + positive
            else {
                label = positive > negative
                conflicting += label ? negative : positive
                duplicate += (label ? positive : negative) - 1
                print rank(text) "\t" label "\t" text
                count[label]++
            }
        }
        BEGIN {
            prime = 2147483647
            base1 = 65537 + (seed % 1000003 * 611953 + 271828) % 1000003
            base2 = 65537 + (seed % 1000003 * 746773 + 314159) % 1000003
            for (i = 1; i < 256; i++) byte[sprintf("%c", i)] = i
        }
        $1 "" != text "" {  # as strings, for "1" and "1.0" are two texts
            if (NR > 1) settle()
            text = $1
            negative = positive = 0
        }
        { if ($2 == "1") positive++; else negative++ }
        END {
            if (NR) settle()
            print "conflicting_labels\t" conflicting + 0 >> report
            print "duplicate\t" duplicate + 0 >> report
            print "negative\t" count[0] + 0 >> report
            print "positive\t" count[1] + 0 >> report
        }
    '
}

# The highest ranks of each class, stratified by largest remainders as in linnet.data.split.assign.quotas.
sample() {
    awk -F '\t' -v size="$rows" -v report="$work/report" '
        BEGIN {
            while ((getline line < report) > 0) {
                split(line, pair, "\t")
                count[pair[1]] = pair[2]
            }
            have[0] = count["negative"]
            have[1] = count["positive"]
            total = have[0] + have[1]
            if (!size || size > total) size = total
            for (label = 0; label < 2; label++) {
                quota[label] = int(have[label] * size / total)
                rest[label] = have[label] * size % total
            }
            if (quota[0] + quota[1] < size) quota[rest[1] > rest[0]]++
            for (label = 0; label < 2; label++)
                while (quota[label] < 2 && quota[1 - label] > 2) {
                    quota[label]++
                    quota[1 - label]--
                }
        }
        quota[$2]-- > 0 {
            gsub(/\\/, "&&", $3)
            gsub(/"/, "\\\"", $3)
            printf "{\"text\": \"%s\", \"label\": %d}\n", $3, $2
        }
    '
}

counted() {
    awk -F '\t' -v name="$1" '$1 == name { print $2 }' "$work/report"
}

# A row too many or too few is not to be seen in the rows, so none leaves before the whole has gone well.
part_of_pipe unpack | part_of_pipe without_controls | part_of_pipe with_plain_spaces | part_of_pipe decode |
    part_of_pipe with_visible_nuls | part_of_pipe parse | part_of_pipe sort -T "$work" |
    part_of_pipe resolve_and_rank >"$work/ranked"
[ ! -e "$work/failed" ] || fail "stopped at: $(head -n 1 "$work/failed"); nothing was written."
for class in negative positive; do
    [ "$(counted $class)" -ge 3 ] || fail "expected at least 3 usable rows of the class $class, found $(counted $class)."
done

sort -r -T "$work" "$work/ranked" >"$work/sorted"
if [ "$output" = - ]; then
    sample <"$work/sorted" >"$work/output"
    cat "$work/output"
else
    part=$(dirname "$output")/.$(basename "$output").$$.tmp
    sample <"$work/sorted" >"$part"
    mv -f "$part" "$output"
fi
awk -F '\t' '$1 != "negative" && $1 != "positive" { printf "%s %d\n", ($1 == "in" ? "rows in:" : "dropped, " $1 ":"), $2 }
    ' "$work/report" >&2
