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
