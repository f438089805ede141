package uploader

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	door = "door"
	// patience is how long a test waits for an event that must come.
	patience = time.Minute
)

var begin = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

var avcC = []byte{
	1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1,
	0, 8, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF,
	1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// rig is a recording directory and a cloud over HTTPS.
type rig struct {
	t       testing.TB
	dir     string
	store   *watchedStore
	service *media.Service
	server  *httptest.Server
	health  *health.Registry
	cloud   *watchedCloud
	next    time.Time                                              // where the next segment begins
	want    []int64                                                // timecodes of all fragments
	filter  func(io.Reader) io.Reader                              // of request bodies
	answer  func(http.ResponseWriter, *http.Request, http.Handler) // answers PutMedia with the help of the service
	denied  atomic.Value                                           // the path of an operation that the role has no right to
	network network
	keys    keys
	now     atomic.Pointer[time.Time] // of the store; nil = that of the system
	waited  atomic.Int64              // how far the clock for pauses is ahead, in ns

	mu         sync.Mutex
	conditions []health.Condition // all that were ever seen; guarded by mu
}

// streams is the control plane of the tests.
type streams struct{ hours int }

func (s streams) Stream(name string) (media.StreamInfo, bool) {
	return media.StreamInfo{Name: door, RetentionHours: s.hours, Status: "ACTIVE"}, name == door
}

// roomy limits let tests be quick; only what is about pace keeps those of KVS.
var roomy = media.Limits{FragmentsPerSecond: 1e6, PutMediaPerSecond: 1e6, BytesPerSecond: 1e12}

func newRig(t testing.TB, hours int, limits media.Limits) *rig {
	t.Helper()
	w := &rig{t: t, dir: t.TempDir(), next: begin, health: health.NewRegistry(time.Now)}
	w.openStore()
	var err error
	w.service, err = media.New(media.Options{Dir: t.TempDir(), Streams: streams{hours}, Limits: limits})
	must(t, err)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.StartTLS()
	w.cloud = &watchedCloud{Client: w.client(), hours: hours}
	w.watchHealth()
	t.Cleanup(func() {
		must(t, w.service.Close())
		w.server.CloseClientConnections()
		w.server.Close()
		must(t, w.store.Close())
	})
	return w
}

func (w *rig) openStore() {
	w.t.Helper()
	store, err := segment.Open(segment.Options{Dir: w.dir, Now: func() time.Time {
		if now := w.now.Load(); now != nil {
			return *now
		}
		return time.Now()
	}})
	must(w.t, err)
	w.store = &watchedStore{Store: store, changed: make(chan struct{})}
}

// serve is the control plane for the two calls that the uploader makes, and the data plane.
func (w *rig) serve(rw http.ResponseWriter, r *http.Request) {
	answer := func(v any) { _ = json.NewEncoder(rw).Encode(v) }
	if denied, ok := w.denied.Load().(string); ok && r.URL.Path == denied {
		rw.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
		rw.WriteHeader(http.StatusForbidden)
		return
	}
	switch r.URL.Path {
	case "/getDataEndpoint":
		answer(map[string]string{"DataEndpoint": w.server.URL})
	case "/describeStream":
		answer(map[string]any{"StreamInfo": map[string]any{"StreamName": door, "DataRetentionInHours": w.hours()}})
	default:
		if w.filter != nil {
			r.Body = io.NopCloser(w.filter(r.Body))
		}
		if w.answer == nil {
			w.service.ServeHTTP(rw, r)
			return
		}
		w.answer(rw, r, w.service)
	}
}

func (w *rig) hours() int {
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	return w.cloud.hours
}

func (w *rig) client() *kvs.Client {
	transport := w.server.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = w.network.dial
	w.t.Cleanup(transport.CloseIdleConnections)
	return kvs.New(kvs.Options{Config: awsclient.Of(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(w.server.URL), HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		Credentials: &w.keys,
	})})
}

// network is how the uploader reaches the service; zero = it works.
type network struct {
	mu     sync.Mutex
	broken func(ctx context.Context) (net.Conn, error)                          // in place of a connection; guarded by mu
	line   func(ctx context.Context, network, address string) (net.Conn, error) // nil = a good one; guarded by mu
}

// through makes connections by another line.
func (n *network) through(line func(ctx context.Context, network, address string) (net.Conn, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.line = line
}

func (n *network) breakDown(how func(context.Context) (net.Conn, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = how
}

func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	broken, line := n.broken, n.line
	n.mu.Unlock()
	if broken != nil {
		return broken(ctx)
	}
	if line != nil {
		return line(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// keys are the hub's credentials, while there are any.
type keys struct{ lost atomic.Bool }

func (k *keys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if k.lost.Load() {
		return aws.Credentials{}, errors.New("the credentials endpoint does not answer")
	}
	return credentials.NewStaticCredentialsProvider("id", "secret", "token").Retrieve(ctx)
}

// watchHealth keeps every condition that is raised.
func (w *rig) watchHealth() {
	changes, stop := w.health.Watch()
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-changes:
				w.keepConditions()
			}
		}
	}()
	w.t.Cleanup(func() { stop(); close(done); <-ended })
}

func (w *rig) keepConditions() {
	snapshot := w.health.Component(door, health.JobUploader).Snapshot()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conditions = append(w.conditions, snapshot.Conditions...)
}

// sawCondition reports whether there was a condition with that code and class at any time.
func (w *rig) sawCondition(code string, class health.Class) bool {
	w.keepConditions()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.conditions, func(c health.Condition) bool { return c.Code == code && c.Class == class })
}

func (w *rig) number(name string) int64 {
	return w.health.Component(door, health.JobUploader).Value(name)
}

// watchedStore signals when progress is saved.
type watchedStore struct {
	*segment.Store
	mu      sync.Mutex
	marked  []int64 // timecodes, in order; guarded by mu
	changed chan struct{}
	repair  func() // called once before the next segment is opened; guarded by mu
}

func (s *watchedStore) OpenSegment(k segment.Key) (*segment.Reader, error) {
	s.mu.Lock()
	if s.repair != nil {
		s.repair()
		s.repair = nil
	}
	s.mu.Unlock()
	return s.Store.OpenSegment(k)
}

// tear makes the second half of the oldest segment unreadable until a segment is opened again.
func (w *rig) tear() {
	files, err := filepath.Glob(filepath.Join(w.dir, door, "*.sealed.mkv"))
	must(w.t, err)
	whole, err := os.ReadFile(files[0])
	must(w.t, err)
	must(w.t, os.Truncate(files[0], int64(len(whole)/2)))
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.repair = func() { must(w.t, os.WriteFile(files[0], whole, 0o600)) }
}

func (s *watchedStore) note(k segment.Key, f mkv.Fragment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marked = append(s.marked, k.Start+f.Start.Milliseconds())
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *watchedStore) MarkPersisted(k segment.Key, f mkv.Fragment) error {
	err := s.Store.MarkPersisted(k, f)
	s.note(k, f)
	return err
}

func (s *watchedStore) MarkRefused(k segment.Key, f mkv.Fragment, reason string) error {
	err := s.Store.MarkRefused(k, f, reason)
	s.note(k, f)
	return err
}

// await waits until n fragments are done.
func (w *rig) await(n int) {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		w.store.mu.Lock()
		have, changed := len(w.store.marked), w.store.changed
		w.store.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("%d fragments are done, want %d; the service says %+v", have, n, w.service.Stats(door))
		}
	}
}

// watchedCloud counts what the uploader asks for.
type watchedCloud struct {
	*kvs.Client
	mu          sync.Mutex
	hours       int
	endpoints   int
	credentials int
	puts        int
	skip, times int    // of PutMedia requests, in trouble
	begin, end  func() // of the trouble; nil = none
	each        func() // called before each PutMedia request; nil = none
}

// trouble makes something fail for that many PutMedia requests, after others.
func (c *watchedCloud) trouble(skip, times int, begin, end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skip, c.times, c.begin, c.end = skip, times, begin, end
}

func (c *watchedCloud) PutMedia(ctx context.Context, in kvs.PutMediaInput) (*kvs.Session, error) {
	c.mu.Lock()
	if c.begin != nil && c.puts == c.skip {
		c.begin()
	}
	if c.end != nil && c.puts == c.skip+c.times {
		c.end()
	}
	c.puts++
	c.mu.Unlock()
	if c.each != nil {
		c.each()
	}
	return c.Client.PutMedia(ctx, in)
}

func (c *watchedCloud) InvalidateEndpoint(stream string) {
	c.mu.Lock()
	c.endpoints++
	c.mu.Unlock()
	c.Client.InvalidateEndpoint(stream)
}

func (c *watchedCloud) InvalidateCredentials() {
	c.mu.Lock()
	c.credentials++
	c.mu.Unlock()
	c.Client.InvalidateCredentials()
}

func (c *watchedCloud) counts() (endpoints, credentials int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoints, c.credentials
}

// reports reports whether the uploader has this condition now.
func (w *rig) reports(code string) bool {
	return slices.ContainsFunc(w.health.Component(door, health.JobUploader).Snapshot().Conditions,
		func(c health.Condition) bool { return c.Code == code })
}

// uploader makes one that is quick, but for what the test changes.
func (w *rig) uploader(change ...func(*Options)) *Uploader {
	o := Options{
		Stream: door, Store: w.store, Cloud: w.cloud, Health: w.health.Component(door, health.JobUploader),
		Retry:   backoff.Policy{Min: time.Millisecond, Max: 20 * time.Millisecond},
		AskUser: backoff.Policy{Min: time.Millisecond, Max: 20 * time.Millisecond},
	}
	o.clock = func() time.Time { return time.Now().Add(time.Duration(w.waited.Load())) }
	for _, f := range change {
		f(&o)
	}
	u := New(o)
	u.pace = pace.New(pace.Options{Bandwidth: o.Bandwidth, Fragments: 1e6, FragmentBurst: 1e6, Sessions: 1e6})
	return u
}

func (w *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *rig) drain(u *Uploader) {
	w.t.Helper()
	if err := u.Drain(w.context()); err != nil {
		w.t.Fatalf("Drain: %v; the service says %+v; health %+v", err, w.service.Stats(door), w.health.Snapshot())
	}
}

// run runs the uploader beside the test; stop ends it and waits.
func (w *rig) run(u *Uploader) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := u.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(stop)
	return stop
}

func videoTrack(width int) mkv.Track {
	return mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: avcC, Width: width, Height: 480}
}

// create begins a segment where the previous one ended.
func (w *rig) create(width int) *segment.Writer {
	w.t.Helper()
	writer, err := w.store.Create(door, mkv.Header{Start: w.next, Title: door, Tracks: []mkv.Track{videoTrack(width)}})
	must(w.t, err)
	return writer
}

// fragment adds one with frames every 400 ms that lasts until length, and completes it.
func (w *rig) fragment(writer *segment.Writer, length time.Duration, size int) {
	w.t.Helper()
	at := w.next.Sub(time.UnixMilli(writer.Key().Start))
	must(w.t, writer.BeginFragment(at, true))
	for t := time.Duration(0); t < length; t += 400 * time.Millisecond {
		nal := bytes.Repeat([]byte{byte(t / time.Millisecond)}, size)
		if nal[0] = 0x41; t == 0 {
			nal[0] = 0x65
		}
		must(w.t, writer.WriteFrame(1, at+t, t == 0, [][]byte{nal}))
	}
	_, err := writer.EndFragment()
	must(w.t, err)
	w.want = append(w.want, w.next.UnixMilli())
	w.next = w.next.Add(length)
}

// record makes sealed segments.
func (w *rig) record(segments, fragments int) {
	w.t.Helper()
	for range segments {
		writer := w.create(640)
		for range fragments {
			w.fragment(writer, 2*time.Second, 300)
		}
		must(w.t, writer.Seal())
	}
}

// stored lists the timecodes that the service has, in the order of arrival.
func (w *rig) stored() []int64 {
	var list []int64
	for _, f := range w.service.Fragments(door) {
		list = append(list, f.Producer.UnixMilli())
	}
	return list
}

// expectOnce checks that the service has every fragment, once and in order.
func (w *rig) expectOnce() {
	w.t.Helper()
	if got := w.stored(); !slices.Equal(got, w.want) {
		w.t.Errorf("the service has %v\nwant %v", w.relative(got), w.relative(w.want))
	}
}

// expectAll checks that the service has every fragment but for those left out, and none twice that
// was acknowledged before.
func (w *rig) expectAll(without ...int64) {
	w.t.Helper()
	got := w.stored()
	slices.Sort(got)
	got = slices.Compact(got)
	want := slices.DeleteFunc(slices.Clone(w.want), func(at int64) bool { return slices.Contains(without, at) })
	if !slices.Equal(got, want) {
		w.t.Errorf("the service has %v\nwant %v", w.relative(got), w.relative(want))
	}
}

func (w *rig) relative(list []int64) []string {
	var out []string
	for _, at := range list {
		out = append(out, fmt.Sprintf("%.1f", float64(at-begin.UnixMilli())/1000))
	}
	return out
}

// expectUploaded checks that all segments are in that state, and how many have refused fragments.
func (w *rig) expectUploaded(refused int) {
	w.t.Helper()
	for _, s := range w.store.Segments(door, time.Time{}, time.Time{}) {
		if s.State != segment.Uploaded {
			w.t.Errorf("segment %v is %v", s.StartTime(), s.State)
		}
		if s.Refused {
			refused--
		}
	}
	if refused != 0 {
		w.t.Errorf("%d segments with refused fragments are missing", refused)
	}
}

// poisonedBody breaks the connection when the body holds a given timecode.
type poisonedBody struct {
	src    io.Reader
	marks  [][]byte
	window []byte
	hit    func()
}

var errPoison = errors.New("poisoned")

func (p *poisonedBody) Read(b []byte) (int, error) {
	n, err := p.src.Read(b)
	p.window = append(p.window, b[:n]...)
	for _, mark := range p.marks {
		if bytes.Contains(p.window, mark) {
			p.hit()
			return 0, errPoison
		}
	}
	p.window = slices.Clone(p.window[max(0, len(p.window)-16):])
	return n, err
}
