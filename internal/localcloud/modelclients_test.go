package localcloud

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// python is Debian's: the programs of its packages use no other.
const python = "/usr/bin/python3"

func needBoto3(t *testing.T) {
	t.Helper()
	testtools.Need(t, "/usr/bin/aws", python)
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import boto3").CombinedOutput(); err != nil {
		if os.Getenv(testtools.RequireVariable) != "" {
			t.Fatalf("python3-boto3 is not installed: run `make tools`: %s", out)
		}
		t.Skip("python3-boto3 is not installed: run `make tools` to run this test")
	}
}

// sent is a request of a row, and its answer.
type sent struct {
	row    *modelRow
	bad    bool
	body   map[string]any
	answer answered
}

// answered is how a client shows what came back.
type answered struct {
	ID            int
	Code, Message string
	Unsent        string

	body []byte // of a request of the test itself
}

// check compares an answer with what the row wants.
func (s *sent) check(t *testing.T, client string) {
	t.Helper()
	a := s.answer
	switch {
	case s.bad && (a.Code != s.row.WantError || !strings.Contains(a.Message, s.row.WantText)):
		t.Errorf("%s by %s: %.200v is answered with %q %q, want %s with %q",
			s.row, client, s.body, a.Code, a.Message, s.row.WantError, s.row.WantText)
	case !s.bad && (strings.Contains(a.Message, s.row.WantText) || a.Code == "SerializationException" || a.Code == "InternalFailure"):
		t.Errorf("%s by %s: %.200v is answered with %q %q", s.row, client, s.body, a.Code, a.Message)
	}
}

// runPython has one process of a client send all requests.
func runPython(t *testing.T, c *Cloud, client string, requests []*sent) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte("[default]\nparameter_validation = false\n"), 0o600))
	var in bytes.Buffer
	for i, s := range requests {
		line, err := json.Marshal(map[string]any{"id": i, "operation": s.row.Operation, "body": s.body})
		must(t, err)
		in.Write(append(line, '\n'))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, python, "testdata/rows.py", client)
	command.Stdin = &in
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_CONFIG_FILE=" + filepath.Join(dir, "config"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "NO_PROXY=127.0.0.1", "PYTHONDONTWRITEBYTECODE=1", "AWS_PAGER=", "PYTHONUTF8=1"}
	for _, v := range c.UserEnv() {
		command.Env = append(command.Env, v.String())
	}
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", client, err, &complaints)
	}
	answers := 0
	for lines := bufio.NewScanner(&out); lines.Scan(); answers++ {
		var a answered
		must(t, json.Unmarshal(lines.Bytes(), &a))
		requests[a.ID].answer = a
	}
	if answers != len(requests) {
		t.Fatalf("%s answered %d of %d requests\n%s", client, answers, len(requests), &complaints)
	}
}

// post sends a body to a path of Kinesis Video Streams, and signs it itself.
func post(t *testing.T, c *Cloud, path string, body []byte) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Endpoint()+path, bytes.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	sum, user := sha256.Sum256(body), c.keys.User()
	signer := aws.Credentials{AccessKeyID: user.ID, SecretAccessKey: user.Secret}
	must(t, v4.NewSigner().SignHTTP(t.Context(), signer, r, hex.EncodeToString(sum[:]), awsapi.KVS, Region, time.Now()))
	response, err := userConfig(t, c).HTTPClient.Do(r)
	must(t, err)
	return response
}

// rawKVS posts a request of the control plane and reads the answer.
func rawKVS(t *testing.T, c *Cloud, path string, body []byte) (status int, a answered) {
	t.Helper()
	response := post(t, c, path, body)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	must(t, json.Unmarshal(text, &a))
	a.Code, a.body = response.Header.Get("x-amzn-ErrorType"), text
	return response.StatusCode, a
}

// TestEachRowOfTheModel sends, for each rule on each member of each operation, requests that keep to
// it and that break it, by clients that others wrote as far as these know the members.
func TestEachRowOfTheModel(t *testing.T) {
	t.Parallel()
	needBoto3(t)
	var refusals bytes.Buffer // written by the one request at a time
	c := start(t, Options{StreamDelay: -1, Refusals: &refusals})
	operations := slices.Clone(kvsmodel.Operations)
	paths := map[string]string{}
	for _, o := range kvsmodel.Archived {
		operations = append(operations, *o)
	}
	for _, o := range operations {
		paths[o.Name] = o.Path
	}
	rows := rowsOf(operations)
	var requests, fewer []*sent // fewer: a bad one of each row if it has any
	for i := range rows {
		first := len(requests)
		for _, body := range rows[i].Bad {
			requests = append(requests, &sent{row: &rows[i], body: body, bad: true})
		}
		for _, body := range rows[i].Good {
			requests = append(requests, &sent{row: &rows[i], body: body})
		}
		fewer = append(fewer, requests[first])
		if rows[i].Rule == apimodel.Type { // of a list or structure, the command line sends no other type
			fewer = append(fewer, requests[len(requests)-1])
		}
	}
	tried := map[*modelRow]bool{}
	count := func(client string, requests []*sent) (unsent []*sent) {
		by := map[*modelRow]bool{}
		for _, s := range requests {
			if s.answer.Unsent != "" {
				unsent = append(unsent, s)
				continue
			}
			s.check(t, client)
			by[s.row], tried[s.row] = true, true
		}
		t.Logf("%s: %d rows tried with %d requests", client, len(by), len(requests)-len(unsent))
		return unsent
	}
	runPython(t, c, "cli", fewer) // the command line takes ten times as long as boto3 for each
	count("aws 2.9.19", fewer)
	runPython(t, c, "boto3", requests)
	rest := count("boto3 1.26.27", requests)
	for _, s := range rest {
		body, err := json.Marshal(s.body)
		must(t, err)
		_, s.answer = rawKVS(t, c, paths[s.row.Operation], body)
	}
	if unsent := count("signed by the test", rest); len(unsent) > 0 {
		t.Errorf("%d requests were sent by nobody", len(unsent))
	}
	if t.Logf("%d rows in the table", len(rows)); len(tried) != len(rows) {
		t.Errorf("%d rows were tried, the table has %d", len(tried), len(rows))
	}
	lines := strings.ReplaceAll(refusals.String(), " (400) at ", " at ") // so the data plane has it
	for i := range rows {
		if where := " at " + rows[i].Path + ": "; len(rows[i].Bad) > 0 && !strings.Contains(lines, rows[i].WantError+where) {
			t.Errorf("%s: no line about the refusal has %q", rows[i], rows[i].WantError+where)
		}
	}
}
