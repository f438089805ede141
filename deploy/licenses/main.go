// Command licenses writes the licence texts of everything that is linked into the agent, for all
// architectures of a release: the Go runtime and library, and the modules. Equal texts are written once.
// It fails when a module has no licence text.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const program = "github.com/kvs-edge/kvs-edge-agent/cmd/kvs-edge-agent"

var architectures = []string{"amd64", "arm64", "arm"}

// licenceFile matches the names of files that a licence asks to pass on. Eclipse's are named by licence.
var licenceFile = regexp.MustCompile(`(?i)^((licen[cs]e|copying|notice|patents)([-.].*)?|e[dp]l-v[0-9]+)$`)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	all := make(map[string]*component)
	for _, arch := range architectures {
		packages, err := linkedPackages(arch)
		if err != nil {
			return err
		}
		for _, p := range packages {
			p.addTo(all)
		}
	}
	found, err := texts(slices.Collect(maps.Values(all)))
	if err != nil {
		return err
	}
	return write(w, found)
}

// linkedPackage is what `go list` says of a package.
type linkedPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// linkedPackages lists all packages that the agent for this architecture is made of.
func linkedPackages(arch string) ([]linkedPackage, error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", program)
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -deps for %s: %w", arch, err)
	}
	var packages []linkedPackage
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p linkedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// component is a module with the directories of its linked packages, or the Go distribution.
type component struct {
	name string
	root string
	dirs map[string]bool
}

func (p linkedPackage) addTo(all map[string]*component) {
	var name, root, dir string
	switch {
	case p.Standard:
		root = goRoot(p.Dir)
		name, dir = "Go standard library and runtime", root
	case p.Module.Main:
		return
	default:
		name, root, dir = p.Module.Path+" "+p.Module.Version, p.Module.Dir, p.Dir
	}
	c, ok := all[name]
	if !ok {
		c = &component{name: name, root: root, dirs: make(map[string]bool)}
		all[name] = c
	}
	// A directory between package and root may have a licence of its own.
	for ; strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		c.dirs[dir] = true
	}
}

// goRoot is the directory of the Go distribution that a package of the standard library is in.
func goRoot(dir string) string {
	root, _, _ := strings.Cut(dir, string(filepath.Separator)+"src"+string(filepath.Separator))
	return root
}

// texts returns the names of components by licence text.
func texts(components []*component) (map[string][]string, error) {
	byText := make(map[string][]string)
	for _, c := range components {
		var have bool
		for dir := range c.dirs {
			entries, err := os.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			for _, entry := range entries {
				if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
					continue
				}
				text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
				if err != nil {
					return nil, err
				}
				key := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
				byText[key] = append(byText[key], c.labelOf(filepath.Join(dir, entry.Name())))
				have = have || dir == c.root
			}
		}
		if !have {
			return nil, fmt.Errorf("%s has no licence text in %s", c.name, c.root)
		}
	}
	return byText, nil
}

// labelOf names a licence file of the component.
func (c *component) labelOf(path string) string {
	rel, err := filepath.Rel(c.root, path)
	if err != nil {
		rel = path
	}
	return c.name + ", " + filepath.ToSlash(rel)
}

// write orders the texts by the first component that each applies to.
func write(w io.Writer, byText map[string][]string) error {
	type entry struct {
		names []string
		text  string
	}
	var entries []entry
	for text, names := range byText {
		slices.Sort(names)
		entries = append(entries, entry{names: names, text: text})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.names[0], b.names[0]) })
	var out bytes.Buffer
	out.WriteString("Licences of the software that is linked into kvs-edge-agent.\n")
	for _, e := range entries {
		fmt.Fprintf(&out, "\n%s\n", strings.Repeat("=", 80))
		for _, name := range e.names {
			fmt.Fprintf(&out, "%s\n", name)
		}
		fmt.Fprintf(&out, "%s\n\n%s\n", strings.Repeat("-", 80), e.text)
	}
	_, err := w.Write(out.Bytes())
	return err
}
