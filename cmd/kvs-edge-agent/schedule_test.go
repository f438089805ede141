package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// schedule runs the command and returns what it writes.
func schedule(stdin string, args ...string) (string, error) {
	cmd := newScheduleCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(append([]string{}, args...)) // of nil it would take the test's own
	err := cmd.Execute()
	return out.String(), err
}

func TestScheduleListsWindows(t *testing.T) {
	t.Parallel()
	got, err := schedule("", "--zone", "Europe/Berlin", "--after", "1777615200", "--count", "3", "0 0 9-10 ? * *", "3600")
	want := `Meaning:  at 9:00 and 10:00
Zone:     Europe/Berlin

BEGIN                           END                             BEGIN (UTC)            END (UTC)              
Fri 2026-05-01 09:00:00+02:00   Fri 2026-05-01 10:00:00+02:00   2026-05-01 07:00:00Z   2026-05-01 08:00:00Z   continues without a break
Fri 2026-05-01 10:00:00+02:00   Fri 2026-05-01 11:00:00+02:00   2026-05-01 08:00:00Z   2026-05-01 09:00:00Z   
Sat 2026-05-02 09:00:00+02:00   Sat 2026-05-02 10:00:00+02:00   2026-05-02 07:00:00Z   2026-05-02 08:00:00Z   continues without a break
`
	if err != nil || got != want {
		t.Errorf("got %v and\n%s\nwant\n%s", err, got, want)
	}
}

func TestScheduleListsTenByDefault(t *testing.T) {
	t.Parallel()
	got, err := schedule("", "--json", "0 0 9 * * ?")
	var answer scheduleAnswer
	if err != nil || json.Unmarshal([]byte(got), &answer) != nil || len(answer.Next) != 10 {
		t.Errorf("got %v and %s, want ten times", err, got)
	}
}

func TestScheduleRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		code   int
		out    string
		reason string
	}{
		"a wrong expression": {
			[]string{"0 0 25 * * ?"}, exitFailure, "", `hours "25" (character 5): hours must be 0 to 23`,
		},
		"a wrong expression, in JSON": {
			[]string{"--json", "0 0 25 * * ?"}, exitFailure,
			`{"error":"hours \"25\" (character 5): hours must be 0 to 23"}` + "\n", "",
		},
		"the form of EventBridge": {
			[]string{"cron(0 9 * * ? *)"}, exitFailure, "",
			"cron(…) is the form of EventBridge: write the six or seven fields of Quartz alone, seconds first",
		},
		"an unknown zone":         {[]string{"--zone", "Mars/Base", "0 0 9 * * ?"}, exitFailure, "", `the time zone "Mars/Base" is not known`},
		"a duration out of range": {[]string{"0 0 9 * * ?", "59"}, exitSettings, "", `the duration is "59" and must be 60 to 3600 seconds`},
		"a count of nothing":      {[]string{"--count", "0", "0 0 9 * * ?"}, exitSettings, "", "--count must be 1 to 10000"},
		"no expression":           {nil, exitSettings, "", "give one expression in quotation marks, and the duration in seconds if you like"},
		"no quotation marks": {[]string{"0", "0", "9", "*", "*", "?"}, exitSettings, "",
			"give one expression in quotation marks, and the duration in seconds if you like"},
		"two sources": {[]string{"--stdin", "0 0 9 * * ?"}, exitSettings, "",
			"with --stdin the expressions are read, none can be an argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := schedule("", c.args...)
			var exit *exitError
			if !errors.As(err, &exit) {
				t.Fatalf("got error %v, want an exitError", err)
			}
			reason := ""
			if exit.err != nil {
				reason = exit.err.Error()
			}
			if exit.code != c.code || out != c.out || reason != c.reason {
				t.Errorf("got code %d, %q, %q; want %d, %q, %q", exit.code, out, reason, c.code, c.out, c.reason)
			}
		})
	}
}

func TestScheduleNotesThat99IsEveryValue(t *testing.T) {
	t.Parallel()
	for expression, noted := range map[string]bool{"0 0 99 ? * *": true, "0 0 9,99 ? * *": true, "0 0 9 ? * *": false,
		"0 0 9 ? * * 1999-2099": false} {
		if got, err := schedule("", expression); err != nil || strings.Contains(got, "99 stands for every value") != noted {
			t.Errorf("%s: %v, %s", expression, err, got)
		}
	}
}

func TestScheduleSaysThatNothingComes(t *testing.T) {
	t.Parallel()
	if got, err := schedule("", "--json", "0 0 9 30 2 ?"); err != nil || got != `{"next":[]}`+"\n" {
		t.Errorf("got %v and %s, want an empty list", err, got)
	}
	if got, err := schedule("", "0 0 9 30 2 ?"); err != nil || !strings.Contains(got, "It never fires again.") {
		t.Errorf("got %v and %s", err, got)
	}
}

func TestScheduleAnswersLineByLine(t *testing.T) {
	t.Parallel()
	questions := `{"expr":"0 0 9 * * ?","after":1777615200,"count":1}
{"expr":"0 0 9 * * ?","zone":"UTC","count":2}
nonsense
{"expr":"0 0 9 * * ?","count":-1}
{"expr":"* * *"}
`
	got, err := schedule(questions, "--stdin", "--zone", "Europe/Berlin", "--after", "0")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	want := []string{
		`{"next":[1777618800]}`,
		`{"next":[32400,118800]}`,
		`{"error":"the question is not a line`,
		`{"error":"count must be 1 to 10000"}`,
		`{"error":"day of month (character 6): the expression has 3 of the six fields`,
	}
	if !slices.EqualFunc(lines, want, strings.HasPrefix) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// The first line is answered before the second is asked.
func TestScheduleAnswersAtOnce(t *testing.T) {
	t.Parallel()
	questions, ask := io.Pipe()
	answers, answer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := answerScheduleLines(questions, answer, scheduleQuery{Zone: "UTC", Count: 1})
		_ = answer.CloseWithError(err)
		done <- err
	}()
	decoder := json.NewDecoder(answers)
	for range 2 {
		if _, err := io.WriteString(ask, `{"expr":"0 0 9 * * ?","after":0}`+"\n"); err != nil {
			t.Fatal(err)
		}
		var got scheduleAnswer
		if err := decoder.Decode(&got); err != nil || !slices.Equal(got.Next, []int64{32400}) {
			t.Fatalf("got %v, %v, want 32400", got, err)
		}
	}
	_ = ask.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestScheduleAnswersTheVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../internal/scheduler/testdata/quartz-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Next    []int64
		Invalid bool
	}
	var questions []json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &vectors), json.Unmarshal(text, &questions)); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, question := range questions {
		lines.Write(question)
		lines.WriteByte('\n')
	}
	out, err := schedule(lines.String(), "--stdin", "--count", "5")
	if err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(strings.NewReader(out))
	for i, v := range vectors {
		var got scheduleAnswer
		if err := answers.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Next, v.Next) || (got.Error != "") != v.Invalid {
			t.Errorf("%s: got %+v", questions[i], got)
		}
	}
}
