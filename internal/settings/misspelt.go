package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
)

// settingPrefixes begin the names of variables that are meant for an edge agent.
var settingPrefixes = []string{ourPrefix, "AWS_IOT_CORE_"}

// sdkPrefix begins the names of all variables whose spelling is compared with that of the settings.
const sdkPrefix = "AWS_"

// maxTypos is how many letters of a name may differ from the setting that is probably meant.
const maxTypos = 3

// Misspelt is a variable that looks like a setting, but no setting has its name.
type Misspelt struct {
	Name  string
	Meant string // the setting whose name is most like it; "" when none is
}

// String names the variable and what is probably meant.
func (m Misspelt) String() string {
	if m.Meant == "" {
		return m.Name
	}
	return m.Name + " (did you mean " + m.Meant + "?)"
}

// MisspeltNames finds the variables that look like settings, but have the name of none, in the order of their names.
func MisspeltNames(names []string) []Misspelt {
	known := make(map[string]bool)
	for _, v := range allVariables() {
		known[v.Name] = true
	}
	for _, name := range append(endpoint.URLVariables(), envTokenExchangeToken, envTokenExchangeFile, envGreengrassThing) {
		known[name] = true
	}
	var list []Misspelt
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if known[name] {
			continue
		}
		meant, typos := nearest(name)
		ours := slices.ContainsFunc(settingPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		switch {
		case ours && typos > maxTypos:
			list = append(list, Misspelt{Name: name})
		case ours, strings.HasPrefix(name, sdkPrefix) && typos < maxTypos:
			list = append(list, Misspelt{Name: name, Meant: meant})
		}
	}
	return list
}

// misspelt reports whether a variable looks like a setting, but has the name of none.
func misspelt(name string) bool { return len(MisspeltNames([]string{name})) > 0 }

// nearest is the setting of an edge agent whose name is most like the given one, and how many letters differ.
func nearest(name string) (meant string, typos int) {
	typos = len(name)
	for _, v := range allVariables() {
		if !strings.HasPrefix(v.Name, ourPrefix) && !strings.HasPrefix(v.Name, "AWS_IOT_") {
			continue // of the SDK, which has variables with similar names
		}
		if n := distance(name, v.Name); n < typos {
			meant, typos = v.Name, n
		}
	}
	return meant, typos
}

// distance counts the letters to insert, delete, replace or exchange with their neighbour to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// Misspelt finds the variables of the file and of the process's environment whose names are wrong.
func (r Reading) Misspelt() []Misspelt {
	return MisspeltNames(r.Names())
}

// MisspeltText says which variables have no effect, with their lines in the file that r was read from.
func MisspeltText(list []Misspelt, r Reading) string {
	named := make([]string, 0, len(list))
	for _, m := range list {
		text := m.String()
		if at := r.line(m.Name); at != "" {
			text += " in " + at
		}
		named = append(named, text)
	}
	if len(named) == 1 {
		return fmt.Sprintf("No setting has the name %s, so it has no effect: correct or remove it.", named[0])
	}
	return fmt.Sprintf("No settings have the names %s, so they have no effect: correct or remove them.", strings.Join(named, ", "))
}

// line says in which line of the file a variable is set, "" when the file does not set it.
func (r Reading) line(name string) string {
	if a, ok := r.assigned[name]; ok {
		return fmt.Sprintf("%s, line %d", r.source.file, a.Line)
	}
	return ""
}
