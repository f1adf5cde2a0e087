# target/bench/report.json to an SVG: a bar for each tool, grouped by case, in seconds (median).
def colour: {cfs: "#1b7f5c", composefs: "#c46a1f", podman: "#6b5fa8", umoci: "#8a8a8a", ostree: "#3f7fbf", tar: "#b0b0b0", bound: "#222222"}[.];
def round2: . * 100 | round / 100;
(.rows | map(.wallMedian) | max) as $most
| [.rows | group_by(.case)[] | {heading: .[0].case}, (sort_by(.wallMedian)[] | {bar: .})] as $lines
| ($lines | length * 18 + 60) as $height
| "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"\($height)\" font-family=\"sans-serif\" font-size=\"12\">",
  "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
  "<text x=\"12\" y=\"22\" font-size=\"14\">An image into a store: seconds, median (\(.cores) cores, \(.medium))</text>",
  ($lines | to_entries[] | (.key * 18 + 50) as $y | .value
    | if .heading then "<text x=\"12\" y=\"\($y)\" font-weight=\"bold\">\(.heading)</text>"
      else .bar | (.wallMedian / $most * 520) as $width
        | "<text x=\"24\" y=\"\($y)\">\(.tool)</text><rect x=\"110\" y=\"\($y - 11)\" width=\"\($width | round2)\" height=\"13\" fill=\"\(.tool | colour)\"/><text x=\"\($width + 116 | round2)\" y=\"\($y)\">\(.wallMedian | round2) s</text>"
      end),
  "</svg>"
