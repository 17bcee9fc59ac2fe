//go:build !linux

package main

func forbidDumps() {}

func allowProc() {}
