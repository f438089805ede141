package settings

import (
	"os"
	"path/filepath"
)

// SocketPath is where agent and command line meet: what AWS_KVS_EDGE_SOCKET says, else in systemd's
// runtime directory, else beside the state.
func SocketPath(lookup func(string) (string, bool)) string {
	e := environment{lookup: lookup}
	if path := e.optional(EnvSocket, ""); path != "" {
		return path
	}
	if dir := e.optional(envSystemdRuntimeDir, ""); dir != "" {
		return filepath.Join(dir, SocketName)
	}
	if dir := e.optional(EnvStateDirectory, ""); dir != "" {
		return filepath.Join(dir, SocketName)
	}
	const system = "/run/kvs-edge-agent"
	if info, err := os.Stat(system); err == nil && info.IsDir() {
		return filepath.Join(system, SocketName)
	}
	return filepath.Join(defaultStateDirectory, SocketName)
}
