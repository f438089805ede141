package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// pinsFile lists what anybody outside may rely on, a line each. Lines are only ever added: where a better name
// exists, both stand. After an addition run `UPDATE_PINS=1 go test -run Pins ./internal/archtest`, which never
// takes a line away.
const pinsFile = "testdata/pins.txt"

func TestPins(t *testing.T) {
	t.Parallel()
	now := newPinned(t).all()
	data, err := os.ReadFile(pinsFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	before := strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
	for _, pin := range before {
		if !slices.Contains(now, pin) {
			t.Errorf("%q is gone, on which users may rely: keep it, together with its replacement", pin)
		}
	}
	added := slices.DeleteFunc(slices.Clone(now), func(pin string) bool { return slices.Contains(before, pin) })
	if len(added) == 0 || t.Failed() {
		return
	}
	if os.Getenv("UPDATE_PINS") == "" {
		t.Errorf("these are not in %s: add them with UPDATE_PINS=1\n%s", pinsFile, strings.Join(added, "\n"))
		return
	}
	all := append(before, added...)
	slices.Sort(all)
	if err := os.WriteFile(pinsFile, []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// documents are the JSON documents that leave the program or outlive it, by the type that each is made from.
// The names are what is pinned; where a type lies is not.
var documents = []struct{ name, dir, root string }{
	{"status --json", "internal/status", "Snapshot"},
	{"GET /v1/settings", "internal/localapi", "Setting"},
	{"reload --json", "internal/localapi", "Reloaded"},
	{"POST /v1/upload", "internal/localapi", "UploadRequest"},
	{"POST /v1/upload answer", "internal/localapi", "UploadProgress"},
	{"GET /v1/streams", "internal/localapi", "RecordedStream"},
	{"GET /v1/segments", "internal/localapi", "SegmentPage"},
	{"GET /v1/gaps", "internal/localapi", "GapPage"},
	{"GET /v1/fragments", "internal/localapi", "FragmentPage"},
	{"GET /v1/media trailer", "internal/localapi", "Media"},
	{"GET /v1/usage", "internal/usage", "Stream"},
	{"GET /v1/verification", "internal/localapi", "Verification"},
	{"GET /v1/forecasts", "internal/localapi", "Forecast"},
	{"GET /v1/conditions", "internal/localapi", "Condition"},
	{"GET /v1/changes", "internal/changes", "Change"},
	{"POST /v1/delete-stream answer", "internal/localapi", "DeletedStream"},
	{"check --json", "cmd/kvs-edge-agent", "check"},
	{"cost --json", "cmd/kvs-edge-agent", "costReport"},
	{"cost --prices", "internal/cost", "Prices"},
	{"localcloud bill --json", "cmd/kvs-edge-agent", "billLine"},
	{"segments --json", "cmd/kvs-edge-agent", "storedSegment"},
	{"record --json segment", "cmd/kvs-edge-agent", "segmentLine"},
	{"record --json camera", "cmd/kvs-edge-agent", "cameraLine"},
	{"fakecam stamps --json", "cmd/kvs-edge-agent", "stampsReport"},
	{"fakecam --json camera", "cmd/kvs-edge-agent", "fakecamLine"},
	{"fakecam --json session", "cmd/kvs-edge-agent", "fakecamSessionLine"},
	{"fakecam --json oddity", "cmd/kvs-edge-agent", "fakecamOddityLine"},
	{"schedule --json question", "cmd/kvs-edge-agent", "scheduleQuery"},
	{"schedule --json answer", "cmd/kvs-edge-agent", "scheduleAnswer"},
	{"EdgeConfig", "internal/edgeconfig", "EdgeConfig"},
	{"mqtt config/status", "internal/iotconfig", "syncStatus"},
	{"mqtt agent/status", "internal/iotconfig", "agentStatus"},
	{"mqtt jobs/status", "internal/iotconfig", "jobsStatus"},
	{"mqtt upload/request", "internal/uploadrequest", "request"},
	{"mqtt upload/status", "internal/uploadrequest", "answer"},
	{"mqtt event", "internal/eventrequest", "message"},
	{"mqtt event/status", "internal/eventrequest", "answer"},
	{"mqtt hold", "internal/holdrequest", "request"},
	{"mqtt hold/status", "internal/holdrequest", "answer"},
	{"state file", "internal/statefile", "checked"},
	{"state config.json", "internal/kvsconfig", "lastGood"},
	{"state cameras.json", "internal/camerasecret", "camerasDocument"},
	{"state deleted-before-upload.json", "internal/retention", "loss"},
	{"state uploaded.json", "internal/tally", "counted"},
	{"state events.journal", "internal/event", "Event"},
	{"state storage-tiers.json", "internal/tier", "Storage"},
	{"store .stream", "internal/segment/layout", "StreamFile"},
	{"store .clock", "internal/segment/layout", "ClockNote"},
	{"state recording volume", "internal/segment/volume", "remembered"},
}

// values are constants that others read: what is pinned is their value.
var values = []struct{ name, dir, constants string }{
	{"file", "internal/segment/layout", `Suffix$|FileName$|^QuarantineName$`},
	{"file", "internal/segment/volume", `FileName$`},
	{"file", "internal/atomicfile", `Suffix$`},
	{"file", "internal/statefile", `^CorruptSuffix$`},
	{"file", "internal/kvsconfig", `^lastGoodFile$`},
	{"file", "internal/camerasecret", `^camerasFile$`},
	{"file", "internal/uploadrequest", `^file$`},
	{"file", "internal/tally", `^file$`},
	{"file", "internal/event", `^File$`},
	{"file", "internal/eventrequest", `^file$`},
	{"fragment tag", "internal/uploader", `^TagEvent$`},
	{"file", "internal/tier", `^file$`},
	{"file", "internal/streamtags", `^file$`},
	{"file", "internal/settings", `^(SocketName|mediaName|policiesFile|lossesFile|volumeMemoryFile)$`},
	{"file", "internal/preflight", `^DropInName$`},
	{"file", "internal/logfile", `^fileName$`},
	{"variable outside of the settings page", "internal/settings", `^Env`},
	{"recorder state", "internal/recorder", `^state[A-Z]`},
	{"uploader state", "internal/uploader", `^state[A-Z]`},
	{"job state", "internal/health", `^OffBySchedule$`},
	{"job", "internal/health", `^Job[A-Z]`},
	{"class", "internal/health", `^(UserError|SystemError|Success)$`},
	{"verdict", "internal/status", `^(Healthy|Degraded|Down)$`},
	{"local API path", "internal/localapi", `^[pP]ath[A-Z]`},
	{"local API header", "internal/localapi", `^(ErrorHeader|headerMediaBytes|trailerMedia)$`},
	{"local API error", "internal/localapi", `^code[A-Z]`},
	{"local API event", "internal/localapi", `^event(Begin|Missed)$`},
	{"local API event", "internal/changes", `^(Verdict|Condition|Job|Stream|Recordings)$`},
	{"gap cause", "internal/changes", `^Cause[A-Z]`},
	{"gap cause", "internal/localapi", `^Cause[A-Z]`},
	{"sync status", "internal/kvsconfig", `^(Acknowledged|InSync|SyncFailed|DeletingAcknowledged|DeleteFailed|Deleted)$`},
	{"event status", "internal/eventrequest", `^(Running|Done|Failed)$`},
	{"hold status", "internal/holdrequest", `^(Done|Failed)$`},
	{"hold action", "internal/holdrequest", `^Action(Add|Remove)$`},
	{"upload status", "internal/uploadrequest", `^(Running|Done|Failed)$`},
	{"EdgeConfig value", "internal/edgeconfig", `^(RTSP|File|DeleteOldestMedia|DenyNewMedia)$`},
	{"exit code", "cmd/kvs-edge-agent", `^exit[A-Z]`},
	{"metric dimension", "internal/metrics", `^(dimension[A-Z].*|Namespace|prefix)$`},
}

// pinned gathers the pins from the parsed source.
type pinned struct {
	t     *testing.T
	files map[string][]*ast.File // by directory below the module
	pins  []string
}

func newPinned(t *testing.T) *pinned {
	t.Helper()
	return &pinned{t: t, files: make(map[string][]*ast.File)}
}

func (p *pinned) add(kind, what string) { p.pins = append(p.pins, kind+": "+what) }

func (p *pinned) all() []string {
	p.documents()
	p.streamJobs()
	p.values()
	p.metrics()
	p.topics()
	p.commands()
	for _, key := range []string{logevent.KeyEvent, logevent.KeyCode, logevent.KeyClass, logevent.KeyStream, logevent.KeyJob,
		logevent.KeyError, logevent.KeyCause} {
		p.add("log field", key)
	}
	for _, group := range logevent.Groups {
		for _, row := range group.Rows {
			p.add("log event", string(row.Event))
		}
	}
	for _, d := range health.Declarations {
		p.add("condition", d.Code)
	}
	for _, code := range health.Answers {
		p.add("condition", code)
	}
	for _, group := range settings.Variables() {
		for _, v := range group.Variables {
			p.add("variable", v.Name)
		}
	}
	slices.Sort(p.pins)
	return slices.Compact(p.pins)
}

// streamJobs pins the names of the jobs of streams.
func (p *pinned) streamJobs() {
	const document = "json mqtt jobs/status"
	for _, job := range health.StreamJobs {
		key := "Streams[]." + job.Cloud
		p.add(document, key)
		p.members(document, "internal/iotconfig", &ast.Ident{Name: "jobDoc"}, key, 0)
		p.add("CloudWatch JobType", job.Metric)
	}
}

func (p *pinned) values() {
	for _, v := range values {
		names, found := regexp.MustCompile(v.constants), false
		p.inspect(v.dir, func(n ast.Node) {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return
			}
			for i, name := range spec.Names {
				if i >= len(spec.Values) || !names.MatchString(name.Name) {
					continue
				}
				if value, ok := literal(spec.Values[i]); ok {
					found = true
					p.add(v.name, value)
				}
			}
		})
		if !found {
			p.t.Errorf("%s: no constant matches %s", v.dir, v.constants)
		}
	}
}

// metrics returns the names of metrics by the calls that make them.
func (p *pinned) metrics() {
	p.inspect("internal/metrics", func(n ast.Node) {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := calledName(n)
			for i, arg := range n.Args {
				text, ok := literal(arg)
				if !ok {
					if sum, isSum := arg.(*ast.BinaryExpr); isSum {
						text, ok = literal(sum.Y)
					}
				}
				switch {
				case !ok:
				case name == "thing" && i == 0, name == "jobPoint" && i == 2:
					p.add("CloudWatch metric", text)
				case (name == "counter" || name == "gauge") && i == 2, name == "desc" && i == 0:
					p.add("Prometheus metric", text)
				case name == "desc" && i > 1:
					p.add("Prometheus label", text)
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Name" {
				if text, ok := literal(n.Value); ok {
					p.add("CloudWatch metric", text)
				}
			}
		}
	})
}

func (p *pinned) topics() {
	p.inspect("internal/iotconfig", func(n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != "topicsOf" {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if text, ok := literal(n); ok {
				p.add("topic", text)
			}
			return true
		})
	})
}

// commands returns the commands, from their Use, and all flags.
func (p *pinned) commands() {
	p.inspect("cmd/kvs-edge-agent", func(n ast.Node) {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Use" {
				if text, ok := literal(n.Value); ok {
					p.add("command", strings.Fields(text)[0])
				}
			}
		case *ast.CallExpr:
			flag := regexp.MustCompile(`^(Bool|Int|Int64|Uint|Float64|String|StringSlice|StringArray|Duration|Count|)VarP?$`)
			if selector, ok := n.Fun.(*ast.SelectorExpr); ok && flag.MatchString(selector.Sel.Name) && len(n.Args) > 2 {
				if text, ok := literal(n.Args[1]); ok {
					p.add("flag", "--"+text)
				}
			}
		}
	})
}

func (p *pinned) documents() {
	for _, d := range documents {
		before := len(p.pins)
		p.inspect(d.dir, func(n ast.Node) {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if n.Name.Name == d.root {
					p.members("json "+d.name, d.dir, n.Type, "", 0)
				}
			case *ast.FuncDecl: // the type is made where it is used
				if n.Name.Name == d.root {
					ast.Inspect(n, func(n ast.Node) bool {
						if s, ok := n.(*ast.StructType); ok {
							p.members("json "+d.name, d.dir, s, "", 0)
						}
						return true
					})
				}
			}
		})
		if len(p.pins) == before {
			p.t.Errorf("%s: %s has no type or function %s with JSON", d.name, d.dir, d.root)
		}
	}
}

// maxNesting ends documents that hold themselves.
const maxNesting = 8

// members pins the keys of a type, with those of the types that it holds.
func (p *pinned) members(kind, dir string, of ast.Expr, path string, depth int) {
	if depth > maxNesting {
		return
	}
	switch of := of.(type) {
	case *ast.StarExpr:
		p.members(kind, dir, of.X, path, depth+1)
	case *ast.ArrayType:
		p.members(kind, dir, of.Elt, path+"[]", depth+1)
	case *ast.MapType:
		p.members(kind, dir, of.Value, path+"{}", depth+1)
	case *ast.Ident:
		if spec := p.typeOf(dir, of.Name); spec != nil {
			p.members(kind, dir, spec.Type, path, depth+1)
		}
	case *ast.SelectorExpr:
		if pkg, ok := of.X.(*ast.Ident); ok {
			if other := p.imported(dir, pkg.Name); other != "" {
				p.members(kind, other, &ast.Ident{Name: of.Sel.Name}, path, depth+1)
			}
		}
	case *ast.StructType:
		p.fields(kind, dir, of, path, depth)
	}
}

func (p *pinned) fields(kind, dir string, of *ast.StructType, path string, depth int) {
	for _, f := range of.Fields.List {
		tag := ""
		if f.Tag != nil {
			raw, _ := strconv.Unquote(f.Tag.Value)
			tag, _, _ = strings.Cut(reflect.StructTag(raw).Get("json"), ",")
		}
		switch {
		case tag == "-":
		case tag != "":
			key := strings.TrimPrefix(path+"."+tag, ".")
			p.add(kind, key)
			p.members(kind, dir, f.Type, key, depth+1)
		case len(f.Names) == 0: // embedded
			p.members(kind, dir, f.Type, path, depth+1)
		}
	}
}

func (p *pinned) typeOf(dir, name string) (found *ast.TypeSpec) {
	p.inspect(dir, func(n ast.Node) {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			found = spec
		}
	})
	return found
}

// imported returns the directory of the package of this module that a directory's files import under a name.
func (p *pinned) imported(dir, name string) string {
	for _, f := range p.parsed(dir) {
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if below, ok := strings.CutPrefix(path, module); ok && filepath.Base(below) == name {
				return below
			}
		}
	}
	return ""
}

func (p *pinned) inspect(dir string, visit func(ast.Node)) {
	for _, f := range p.parsed(dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil {
				visit(n)
			}
			return true
		})
	}
}

func (p *pinned) parsed(dir string) []*ast.File {
	if p.files[dir] == nil {
		p.files[dir] = parseDirectory(p.t, filepath.Join("..", "..", dir))
	}
	return p.files[dir]
}

// parseDirectory parses what a directory has but tests.
func parseDirectory(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func literal(n ast.Node) (string, bool) {
	l, ok := n.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING && l.Kind != token.INT {
		return "", false
	}
	if l.Kind == token.INT {
		return l.Value, true
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
