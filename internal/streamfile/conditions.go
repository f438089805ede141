package streamfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeFile      = "stream-file"       // with the file's name after a slash
	codeDirectory = "stream-files"      // the directory
	codeState     = "stream-file-state" // the last good contents on disk
)

const (
	scopeDirectory health.Scope = "stream-files"
	scopeOthers    health.Scope = "stream-files-limit"
	scopeMore      health.Scope = "stream-files-more"
	scopeState     health.Scope = "stream-file-state"
)

// fileCode has the file's name, cleaned as text from outside: anyone who may write to the directory chose it.
func fileCode(name string) string { return codeFile + "/" + health.Clean(name, health.MaxPart) }

func fileScope(name string) health.Scope { return health.Scope(codeFile + "/" + name) }

// report sets the condition of a scope, and logs it when it is new.
func (f *Files) report(scope health.Scope, severity health.Severity, fault *health.Fault) {
	if f.o.Health.Report(scope, severity, fault) {
		logevent.Condition(f.o.Log, fault)
	}
}

// mostShown is how many files are shown one by one with what is wrong with them.
const mostShown = 20

// reportFiles says what is wrong with the files, the first by name one by one and how many more there are.
func (f *Files) reportFiles() {
	shown, more := 0, 0
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		known := f.files[name]
		switch {
		case known.wrong == "":
			f.reportFile(name, known)
		case shown < mostShown:
			shown++
			f.reportFile(name, known)
		default:
			more++
			f.o.Health.OK(fileScope(name))
		}
	}
	if more == 0 {
		f.o.Health.OK(scopeMore)
		return
	}
	f.report(scopeMore, health.Degraded, health.UserFault(codeFile, nil,
		"The directory %s has %s more that are wrong: correct or remove those that are shown, and these are shown then; `kvs-edge-agent check` "+
			"names all.", f.o.Dir, humanize.Count(more, "stream file")))
}

// reportFile says what is wrong with a file, until it is right or gone.
func (f *Files) reportFile(name string, known *file) {
	scope := fileScope(name)
	if known.wrong == "" && (known.good == nil || !known.gone.IsZero()) {
		if known.good != nil { // its stream stays for a while, or another file has it now
			f.o.Health.OK(scope)
		}
		return // a file that was wrong only once is read once more
	}
	severity, text := health.Degraded, ""
	switch {
	case known.wrong != "" && known.good != nil:
		text = fmt.Sprintf("is wrong, and what it held before stays in force for stream %s: %s", known.good.stream.Name, known.wrong)
	case known.wrong != "":
		text = "is wrong, and is not followed: " + known.wrong
	case f.owners[known.good.stream.Name] != name:
		text = fmt.Sprintf("is not followed: StreamName is %q, but must not be that of another file, as it is of %s: keep one of the two",
			known.good.stream.Name, f.owners[known.good.stream.Name])
	case known.note != "":
		severity = health.Info
		text = fmt.Sprintf("is followed, but %s has no effect, as AWS_KVS_EDGE_CLOUD is off and nothing is uploaded", known.note)
	default:
		f.o.Health.OK(scope)
		return
	}
	f.report(scope, severity, health.UserFault(fileCode(name), nil, "The stream file %s %s.", filepath.Join(f.o.Dir, name), text))
}

// reportDirectory says that the directory has nothing to read. What it had stays in force.
func (f *Files) reportDirectory(err error, none bool) {
	streams := slices.Sorted(maps.Keys(f.owners))
	switch {
	case none && len(streams) == 0:
		f.o.Health.OK(scopeDirectory)
	case none:
		f.report(scopeDirectory, health.Degraded, health.UserFault(codeDirectory, nil,
			"The directory %s has no file at all, as if its disk were not mounted, so its streams stay as before: %s. "+
				"Mount it, or, to stop them, put a file of any other name there, such as README.", f.o.Dir, humanize.List(streams)))
	default:
		severity := health.Degraded
		if len(streams) == 0 && errors.Is(err, fs.ErrNotExist) {
			severity = health.Info
		}
		meanwhile := "there are no streams from files"
		if len(streams) > 0 {
			meanwhile = "its streams stay as before: " + humanize.List(streams)
		}
		if errors.Is(err, errSlow) {
			f.report(scopeDirectory, severity, health.UserFault(codeDirectory, err,
				"The directory with stream files, %s, cannot be read (%v), so %s. Restore the server or the disk that it is mounted from, or name "+
					"another directory in AWS_KVS_EDGE_STREAMS_DIRECTORY.", f.o.Dir, errSlow, meanwhile))
			return
		}
		f.report(scopeDirectory, severity, health.UserFault(codeDirectory, err,
			"The directory with stream files, %s, cannot be read (%s), so %s. Create it, readable for the agent's group "+
				"(chgrp kvs-edge-agent, chmod 0750), or correct AWS_KVS_EDGE_STREAMS_DIRECTORY.",
			f.o.Dir, strings.TrimSuffix(cause(err), "."), meanwhile))
	}
}

// reportOthers says that there are more files than are read; the directory is readable.
func (f *Files) reportOthers(others int) {
	f.o.Health.OK(scopeDirectory)
	if others == 0 {
		f.o.Health.OK(scopeOthers)
		return
	}
	f.report(scopeOthers, health.Degraded, health.UserFault(codeDirectory, nil,
		"The directory %s has more than %d stream files; %s are not read: remove those that nobody needs.",
		f.o.Dir, maxFiles, humanize.Count(others, "file")))
}
