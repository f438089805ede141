package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// httpMakers are what an HTTP client can be made of, by the package that has it.
var httpMakers = map[string][]string{
	"net/http": {"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"github.com/aws/aws-sdk-go-v2/aws/transport/http": {"NewBuildableClient"},
	"github.com/aws/aws-sdk-go-v2/config":             {"LoadDefaultConfig"},
}

// mayMakeHTTP are the packages that make HTTP clients, and whom those speak to.
var mayMakeHTTP = map[string]string{
	"internal/cloud/awsclient": "AWS",
	"internal/localapi":        "the agent, over its socket",
	"internal/testtools/site":  "the local cloud, as its user",
	"bench/soak":               "the agent, over its socket",
}

// TestOnePackageMakesClientsForAWS finds clients that would go another way than all others: with other
// roots, without the proxy, or without time-outs.
func TestOnePackageMakesClientsForAWS(t *testing.T) {
	t.Parallel()
	onlyThese(t, httpMakers, mayMakeHTTP, "makes an HTTP client by %s: take internal/cloud/awsclient's", "makes no HTTP client")
}

// onlyThese checks that nobody but the packages in may makes something of the makers, and that each of them does. wrong is what is
// wrong with another package, with the maker, and idle what is wrong with one of the list.
func onlyThese(t *testing.T, makers map[string][]string, may map[string]string, wrong, idle string) {
	t.Helper()
	used := make(map[string]bool)
	eachSource(t, func(path, pkg string) {
		if _, _, stand := standIn(pkg); stand {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Error(err)
			return
		}
		for _, made := range madeWith(parsed, makers) {
			used[pkg] = true
			if may[pkg] == "" {
				t.Errorf("%s: %s "+wrong, path, pkg, made)
			}
		}
	})
	for pkg := range may {
		if !used[pkg] {
			t.Errorf("%s %s: take it from the list", pkg, idle)
		}
	}
}

// madeWith lists the calls, literals, allocations, variables and functions as values with which a file makes something of
// the makers. A type that is only named makes nothing.
func madeWith(file *ast.File, makers map[string][]string) (list []string) {
	imported := make(map[string][]string) // makers by the name of their package in this file
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || makers[path] == nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = makers[path]
	}
	maker := func(n ast.Node) {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return
		}
		if pkg, ok := s.X.(*ast.Ident); ok && slices.Contains(imported[pkg.Name], s.Sel.Name) {
			list = append(list, pkg.Name+"."+s.Sel.Name)
		}
	}
	isValue := func(n ast.Node) bool { // also where it is not called
		s, ok := n.(*ast.SelectorExpr)
		return ok && (strings.HasPrefix(s.Sel.Name, "Default") || strings.HasPrefix(s.Sel.Name, "Dial") && s.Sel.Name != "Dialer")
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			maker(n.Type)
		case *ast.CallExpr:
			if !isValue(n.Fun) {
				maker(n.Fun)
			}
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "new" && len(n.Args) == 1 {
				maker(n.Args[0])
			}
		case *ast.SelectorExpr:
			if isValue(n) {
				maker(n)
			}
		case *ast.ValueSpec: // var c http.Client
			maker(n.Type)
		}
		return true
	})
	return list
}

func TestClientsAreFoundHoweverTheyAreMade(t *testing.T) {
	t.Parallel()
	const source = `package p
import ("net/http"; aws "github.com/aws/aws-sdk-go-v2/config")
var a http.Client
var given *http.Client
func f(c *http.Client) {
	_ = &http.Client{}
	_ = new(http.Transport)
	_ = http.DefaultClient
	http.Get("x")
	aws.LoadDefaultConfig(nil)
	c.Get("x")
}`
	parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := madeWith(parsed, httpMakers)
	slices.Sort(got)
	want := []string{"aws.LoadDefaultConfig", "http.Client", "http.Client", "http.DefaultClient", "http.Get", "http.Transport"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
