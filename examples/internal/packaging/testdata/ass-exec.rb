class AssExec < Formula
  desc "Start a command with secrets from Agent Secret Store in its environment"
  homepage "https://github.com/agent-secret-store/ass-exec"
  version "1.2.3"
  license all_of: ["MIT", "MPL-2.0", "BSD-3-Clause"]

  on_macos do
    on_arm do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-darwin-arm64"
      sha256 "4261caf442fb2766e6920da5d1b9ce7eae6df3057e87d389fe7ee9a209d6a58d"
    end
    on_intel do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-darwin-amd64"
      sha256 "7728cd899f8c5dd0b1828cd430256899ab6c013b6b5c93af99a2e7db57c9fe03"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-linux-arm64"
      sha256 "11d79eee3addd5e9371abbb8525882c102e43be51e2e575b40548f19580b324f"
    end
    on_intel do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-linux-amd64"
      sha256 "ff13ebf83d53b6ff7666b543292e5e75beb251c3f42b70cbe04b3a5cec9f50c1"
    end
  end

  resource "share" do
    url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-share.tar.gz"
    sha256 "SUM OF SHARE"
  end

  def install
    bin.install Dir["ass-exec-*"].first => "ass-exec"
    chmod 0755, bin/"ass-exec" # a download has no mode
    resource("share").stage do
      man1.install "ass-exec.1"
      man5.install "ass.env.5"
      bash_completion.install "ass-exec"
      zsh_completion.install "_ass-exec"
      fish_completion.install "ass-exec.fish"
    end
  end

  test do
    assert_equal "ass-exec v1.2.3\n", shell_output("#{bin}/ass-exec --version")
  end
end
