package script

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Help lists everything that a file can contain.
func Help() string {
	var b strings.Builder
	for _, t := range Tables() {
		fmt.Fprintf(&b, "%s\n\n", t.About)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range t.Rows {
			about := row[1]
			if len(row[0]) > 30 { // the text starts a new line
				fmt.Fprintf(w, "  %s\n  \t%s\n", row[0], about)
				continue
			}
			fmt.Fprintf(w, "  %s\t%s\n", row[0], about)
		}
		_ = w.Flush() // into memory
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Table is a part of the format: the words, and their meaning.
type Table struct {
	Name, About string
	Rows        [][2]string
}

// Tables returns all parts of the format.
func Tables() []Table {
	words := func(name, takes string) string { return strings.TrimSpace(name + " " + takes) }
	headerTable := Table{Name: "headers", About: "Lines before the sections, besides those that say what is odd about the camera:"}
	for _, h := range headers {
		headerTable.Rows = append(headerTable.Rows, [2]string{words(h.name+":", h.takes), h.about})
	}
	conditionTable := Table{Name: "conditions", About: "Words after >>> METHOD:"}
	for _, c := range conditions {
		conditionTable.Rows = append(conditionTable.Rows, [2]string{words(c.name, c.takes), c.about})
	}
	placeholderTable := Table{Name: "placeholders", About: "Placeholders in answers:"}
	for _, p := range placeholders {
		placeholderTable.Rows = append(placeholderTable.Rows, [2]string{"{" + p.name + "}", p.about})
	}
	selectionTable := Table{Name: "selections",
		About: "Conditions before a rule of >>> packets or >>> audio and a colon, separated by commas:"}
	for _, s := range selections {
		selectionTable.Rows = append(selectionTable.Rows, [2]string{words(s.name, s.takes), s.about})
	}
	videoTable := Table{Name: "packets", About: "Rules of >>> packets; those marked with * are allowed in >>> audio, too:"}
	audioTable := Table{Name: "audio", About: "Rules of >>> audio alone:"}
	for _, r := range rules() {
		row := [2]string{words(r.name, r.takes), r.about}
		switch {
		case !r.video:
			audioTable.Rows = append(audioTable.Rows, row)
			continue
		case r.audio:
			row[0] += " *"
		}
		videoTable.Rows = append(videoTable.Rows, row)
	}
	packTable := Table{Name: "kinds", About: "Kinds of pack; several may be named:"}
	for _, name := range slices.Sorted(maps.Keys(packKinds)) {
		packTable.Rows = append(packTable.Rows, [2]string{name, packKinds[name].about})
	}
	return []Table{headerTable, conditionTable, placeholderTable, selectionTable, videoTable, audioTable, packTable}
}
