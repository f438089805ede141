package script

import (
	"os"
	"strings"
	"testing"
)

const page = "../../../docs/like.md"

// TestThePageHasAllThatAFileCanHold compares the tables of docs/like.md with those of the reader. UPDATE_DOCS=1 writes them.
func TestThePageHasAllThatAFileCanHold(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, table := range Tables() {
		mark := "<!-- like: " + table.Name + " -->\n"
		before, after, found := strings.Cut(text, mark)
		if !found {
			t.Fatalf("the page has no place for the table of %s", table.Name)
		}
		written, rest, _ := strings.Cut(after, "\n\n")
		want := markdown(table)
		if written != want {
			t.Errorf("the table of %s is\n%s\nwant\n%s", table.Name, written, want)
		}
		text = before + mark + want + "\n\n" + rest
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// markdown returns a table as the page has it.
func markdown(t Table) string {
	lines := []string{"| line | meaning |", "|---|---|"}
	for _, row := range t.Rows {
		name, both := strings.CutSuffix(row[0], " *")
		if name = "`" + name + "`"; both {
			name += " *"
		}
		lines = append(lines, "| "+name+" | "+row[1]+" |")
	}
	return strings.Join(lines, "\n")
}

func TestTheExampleOfThePageCanBeRead(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(content), "```text\n")
	example, _, closed := strings.Cut(example, "```\n")
	if !found || !closed {
		t.Fatal("the page has no example")
	}
	if _, err := Parse("example", []byte(example)); err != nil {
		t.Error(err)
	}
}
