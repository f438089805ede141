package prose

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// Rule bans a phrase.
type Rule struct {
	Phrase  *regexp.Regexp // of whole words in lower case
	Instead string         // what to say
	Example string         // a text that has the phrase
	Except  *regexp.Regexp // where it is part of this, it may stand; nil when there is no exception
	needs   []string       // one of these is in every text that has the phrase; nil when that is not known
}

// Fault is a banned phrase or name in a file.
type Fault struct {
	File    string // below the root, with slashes
	Line    int    // from 1
	Found   string
	Instead string
}

func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %q: say %s", f.File, f.Line, f.Found, f.Instead)
}

// ReadRules reads a table of rules: a line has a phrase, what to say instead, an example and, if there is one, an exception,
// with a tab between them. The phrase and the exception are regular expressions. Lines that begin with # are comments.
func ReadRules(file string) (rules []Rule, err error) {
	err = eachRow(file, func(row []string) error {
		if len(row) != 3 && len(row) != 4 {
			return fmt.Errorf("%d columns instead of 3 or 4", len(row))
		}
		r := Rule{Instead: row[1], Example: row[2]}
		if r.Phrase, err = regexp.Compile(`\b(?:` + row[0] + `)\b`); err != nil {
			return err
		}
		if len(row) == 4 {
			if r.Except, err = regexp.Compile(`\b(?:` + row[3] + `)\b`); err != nil {
				return err
			}
		}
		parsed, err := syntax.Parse(row[0], syntax.Perl)
		if err != nil {
			return err
		}
		r.needs = required(parsed)
		rules = append(rules, r)
		return nil
	})
	return rules, err
}

// ReadNames reads a table of names: a line has a name in lower case and what to say instead, with a tab between them.
func ReadNames(file string) (names map[string]string, err error) {
	names = make(map[string]string)
	err = eachRow(file, func(row []string) error {
		if len(row) != 2 {
			return fmt.Errorf("%d columns instead of 2", len(row))
		}
		names[row[0]] = row[1]
		return nil
	})
	return names, err
}

func eachRow(file string, visit func(row []string) error) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := visit(strings.Split(line, "\t")); err != nil {
			return fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	return nil
}

// required returns texts of which one is in all that an expression matches, and nil when it does not say. A search for them
// is much faster than the expression.
func required(e *syntax.Regexp) []string {
	switch e.Op {
	case syntax.OpLiteral:
		return []string{string(e.Rune)}
	case syntax.OpCapture, syntax.OpPlus:
		return required(e.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, sub := range e.Sub {
			if texts := required(sub); shortest(texts) > shortest(best) {
				best = texts
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range e.Sub {
			texts := required(sub)
			if texts == nil {
				return nil
			}
			all = append(all, texts...)
		}
		return all
	}
	return nil
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	return len(slices.MinFunc(texts, func(a, b string) int { return len(a) - len(b) }))
}

// Search returns where a passage says what the rules ban.
func Search(p Passage, rules []Rule) (faults []Fault) {
	text := strings.ToLower(p.Text)
	for _, r := range rules {
		if r.needs != nil && !slices.ContainsFunc(r.needs, func(s string) bool { return strings.Contains(text, s) }) {
			continue
		}
		for _, at := range r.Find(text) {
			faults = append(faults, Fault{File: p.File, Line: p.Line(at[0]), Found: text[at[0]:at[1]], Instead: r.Instead})
		}
	}
	return faults
}

// Find returns where a text in lower case has the phrase outside of an exception: offsets of its start and its end.
func (r Rule) Find(text string) [][]int {
	found := r.Phrase.FindAllStringIndex(text, -1)
	if found == nil || r.Except == nil {
		return found
	}
	excepted := r.Except.FindAllStringIndex(text, -1)
	return slices.DeleteFunc(found, func(at []int) bool {
		return slices.ContainsFunc(excepted, func(e []int) bool { return e[0] < at[1] && at[0] < e[1] })
	})
}

// SearchNames returns the declarations whose whole name is banned, in whatever case.
func SearchNames(declared []Declared, names map[string]string) (faults []Fault) {
	for _, d := range declared {
		if instead, banned := names[strings.ToLower(d.Name)]; banned {
			faults = append(faults, Fault{File: d.File, Line: d.Line, Found: d.Name, Instead: instead})
		}
	}
	return faults
}

// Banned returns where a module says what the tables words.txt and names.txt of a directory ban, in the order of files and
// lines. The glossary's own table is not read.
func Banned(m Module, tables string) (faults []Fault, err error) {
	rules, err := ReadRules(filepath.Join(tables, "words.txt"))
	if err != nil {
		return nil, err
	}
	names, err := ReadNames(filepath.Join(tables, "names.txt"))
	if err != nil {
		return nil, err
	}
	for _, p := range m.Passages {
		if p.File != "docs/glossary.md" || !strings.HasPrefix(p.Text, "|") {
			faults = append(faults, Search(p, rules)...)
		}
	}
	faults = append(faults, SearchNames(m.Declared, names)...)
	slices.SortFunc(faults, func(a, b Fault) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
	return faults, nil
}
