package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// repository is its root, from the directory of this package.
const repository = "../.."

// docsBlock is a fenced block of a page. Its directive is the comment on the line before it,
// <!-- test: WORD ARGUMENTS -->, which says how it is checked:
//
//	set-up        sh: makes what the blocks with "cloud" need, and is run before them
//	cloud         sh: runs with a local cloud, a fake camera and an agent that records front-door
//	seeded        sh: runs with a local cloud of docs/localcloud-seed.example.json; with until "TEXT" it is
//	              interrupted when it has printed the text
//	each until    sh: each line runs by itself and is interrupted when it has printed the text
//	lint          sh: runs in a directory of its own, on programs that check their arguments and do nothing; the AWS
//	              CLI validates its parameters and sends them to a server that answers anything
//	package       as lint; `make test-deb` does it with a systemd
//	image         as lint; `make test-image` runs these commands of the agent in the image
//	root          as lint, with the paths of the system in that directory
//	python        runs as seeded does
//	transcript    text: runs the line after "$ " and compares what it prints, up to a line with … alone
//	lines         text: a local cloud as AWS prints these lines when a hub and a user do what they name; … is anything
//	save NAME     json: is written to a file for the blocks behind it, and parsed
//	go DIR FILE   is checked by that test file, which reads the page
//
// Without a directive json is parsed and env is read as agent.env is. Everything else needs a directive, or a line
// in testdata/docs-exceptions.txt.
type docsBlock struct {
	page, lang, text string
	line             int // of the fence
	directive, args  string
}

func (b docsBlock) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var (
	fence     = regexp.MustCompile("^( *)```([a-z]*)$")
	directive = regexp.MustCompile(`^ *<!-- test: ([a-z-]+) ?(.*) -->$`)
)

// frontPages are those outside of docs.
var frontPages = []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"}

// docsBlocks returns the blocks of README.md, of the other pages at the front and of all pages of docs, in their order.
func docsBlocks(t *testing.T) (blocks []docsBlock) {
	t.Helper()
	pages := slices.Clone(frontPages)
	err := filepath.WalkDir(filepath.Join(repository, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, strings.TrimPrefix(filepath.ToSlash(path), repository+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		found, err := blocksOf(page, string(text))
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, found...)
	}
	return blocks
}

func blocksOf(page, text string) (blocks []docsBlock, err error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		m := fence.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		b := docsBlock{page: page, lang: m[2], line: i + 1}
		if i > 0 {
			if d := directive.FindStringSubmatch(lines[i-1]); d != nil {
				b.directive, b.args = d[1], d[2]
			}
		}
		var body strings.Builder
		for i++; i < len(lines) && lines[i] != m[1]+"```"; i++ {
			body.WriteString(strings.TrimPrefix(lines[i], m[1]) + "\n")
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%s does not end", b)
		}
		b.text = body.String()
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// docsExceptions are the blocks that no test checks, by page and first line, with the reason.
func docsExceptions(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/docs-exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	exceptions := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.SplitN(line, " | ", 3)
		if len(parts) != 3 || parts[2] == "" {
			t.Fatalf("testdata/docs-exceptions.txt: %q is not PAGE | FIRST LINE | REASON", line)
		}
		exceptions[parts[0]+" | "+parts[1]] = parts[2]
	}
	if len(exceptions) > 15 {
		t.Errorf("there are %d exceptions, more than 15", len(exceptions))
	}
	return exceptions
}

func (b docsBlock) excepted(exceptions map[string]string) bool {
	first, _, _ := strings.Cut(b.text, "\n")
	key := b.page + " | " + strings.TrimSpace(first)
	_, found := exceptions[key]
	delete(exceptions, key)
	return found
}

// checkJSON parses a block. Of a policy the local cloud must know every action.
func (b docsBlock) checkJSON() error {
	var document struct {
		Statement []struct{ Action json.RawMessage }
	}
	if err := json.Unmarshal([]byte(b.text), &document); err != nil {
		return err
	}
	for _, statement := range document.Statement {
		actions := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(string(statement.Action), -1)
		for _, m := range actions {
			if strings.HasPrefix(m[1], "kms:") {
				continue // no service of the local cloud
			}
			if err := localcloud.CheckAllow([]string{m[1]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkEnv reads a block as the agent reads agent.env.
func (b docsBlock) checkEnv() error {
	list, faults := envfile.Parse(b.text)
	if len(faults) > 0 {
		return faults[0]
	}
	var known []string
	for _, group := range settings.Variables() {
		for _, v := range group.Variables {
			known = append(known, v.Name)
		}
	}
	for _, a := range list {
		switch {
		case !slices.Contains(known, a.Name):
			return fmt.Errorf("no setting has the name %s", a.Name)
		case a.Value == "" || strings.Contains(a.Value, "#"):
			return fmt.Errorf("the value of %s is %q", a.Name, a.Value)
		}
	}
	return nil
}

// checkGo looks for the test file that checks the block: it names the page, and the language as text or for docsBlocks.
func (b docsBlock) checkGo() error {
	dir, file, _ := strings.Cut(b.args, " ")
	code, err := os.ReadFile(filepath.Join(repository, dir, file))
	reads := bytes.Contains(code, []byte("```"+b.lang)) || bytes.Contains(code, []byte(`b.lang != "`+b.lang+`"`))
	if err == nil && (!bytes.Contains(code, []byte(b.page)) || !reads) {
		err = fmt.Errorf("%s does not read the block", b.args)
	}
	return err
}

func TestBlocksAreFoundWithTheirDirectives(t *testing.T) {
	t.Parallel()
	blocks, err := blocksOf("p.md", "text\n<!-- test: each until \"x y\" -->\n```sh\na\n```\n1. b\n   ```json\n   {\n     \"c\": 1}\n   ```\n")
	if err != nil || len(blocks) != 2 {
		t.Fatalf("%v, %v", blocks, err)
	}
	first, second := blocks[0], blocks[1]
	if first.directive != "each" || first.args != `until "x y"` || first.text != "a\n" || first.line != 3 || first.lang != "sh" {
		t.Errorf("%+v", first)
	}
	if second.directive != "" || second.text != "{\n  \"c\": 1}\n" || second.lang != "json" || second.checkJSON() != nil {
		t.Errorf("%+v", second)
	}
	if _, err := blocksOf("p.md", "```\na\n"); err == nil {
		t.Error("a block without an end is taken")
	}
	for text, lang := range map[string]string{
		"{": "json", `{"Statement": [{"Action": "iot:Fly"}]}`: "json", "AWS_REGION=us-west-2 # here": "env", "AWS_REGIO=x": "env",
	} {
		b := docsBlock{text: text, lang: lang}
		check := map[string]func() error{"json": b.checkJSON, "env": b.checkEnv}[lang]
		if check() == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
