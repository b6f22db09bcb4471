# Keeps the rows of JSON lines {"text": ..., "label": ...} that pass every test given; all arguments are strings,
# and an empty one tests nothing. Lengths are in characters. Run by filter.sh.
select(
  ($only == "" or (.label | tostring) == $only)
  and ($min_length == "" or (.text | length) >= ($min_length | tonumber))
  and ($max_length == "" or (.text | length) <= ($max_length | tonumber))
  and ($pattern == "" or (.text | test($pattern; $flags)))
)
