# Completion of terminalai for bash.
_terminalai() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' files=''
    # bash cuts --name=value at the equals sign
    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
    if [[ $cur == = ]]; then cur=''; fi
    case $prev in
    --start) return ;;
    --end) return ;;
    --split) return ;;
    --field-order) words='auto tff bff progressive' ;;
    --sd-width) words='704 720' ;;
    --colour-space) words='auto bt601-525 bt601-625 bt709 bt2020' ;;
    --colour-range) words='auto limited full' ;;
    --audio-tracks) return ;;
    --subtitles) words='copy none' ;;
    --deinterlace) words='auto off yadif bwdif w3fdif estdif qtgmc' ;;
    --deinterlace-frames) words='auto all flagged' ;;
    --field-rate) words='double single' ;;
    --ivtc) words='off on' ;;
    --crop) return ;;
    --head-switching) return ;;
    --chroma-shift-x) return ;;
    --chroma-shift-y) return ;;
    --deblock) words='off weak strong' ;;
    --denoise) words='off hqdn3d atadenoise nlmeans' ;;
    --denoise-strength) return ;;
    --deband) words='off weak standard strong' ;;
    --contrast) return ;;
    --brightness) return ;;
    --saturation) return ;;
    --gamma) return ;;
    --colour-balance) return ;;
    --levels) return ;;
    --lut) files=1 ;;
    --lut-strength) return ;;
    --engine) words='auto classic realesrgan rtxvideo' ;;
    --resolution) return ;;
    --scaler) words='lanczos bicubic bilinear spline neighbor' ;;
    --upscale-model) return ;;
    --tile) return ;;
    --tile-overlap) return ;;
    --tile-tolerance) return ;;
    --neural-engine) words='auto openvino onnxruntime' ;;
    --neural-device) words='cpu cuda tensorrt' ;;
    --neural-precision) words='auto fp32 bf16' ;;
    --sharpen) words='off cas unsharp' ;;
    --sharpen-strength) return ;;
    --face-restore) words='off gfpgan codeformer' ;;
    --face-model) return ;;
    --face-strength) return ;;
    --face-fidelity) return ;;
    --face-upscale) words='1 2 4' ;;
    --face-detector) return ;;
    --hdr) words='sdr hdr10 hlg' ;;
    --hdr-peak) return ;;
    --encoder) words='libx264 libx265 libsvtav1 ffv1 h264_nvenc hevc_nvenc h264_vaapi hevc_vaapi h264_qsv hevc_qsv' ;;
    --crf) return ;;
    --quality) words='best fast' ;;
    --encoder-preset) return ;;
    --encoder-options) return ;;
    --encoder-threads) return ;;
    --bit-depth) words='auto 8 10' ;;
    --audio-codec) words='aac ac3 eac3 dts flac pcm opus copy' ;;
    --audio-bitrate) return ;;
    --declick) words='off on' ;;
    --declip) words='off on' ;;
    --dehum) words='off auto 50 60' ;;
    --speech-denoise) words='off rnnoise deepfilternet gtcrn' ;;
    --speech-model) return ;;
    --speech-limit) return ;;
    --speech-post-filter) return ;;
    --speech-channels) words='each linked' ;;
    --speech-guard) words='off warn skip' ;;
    --audio-enhance) words='none light moderate aggressive voice music report-light report-moderate deepfilternet' ;;
    --noise-floor) return ;;
    --channel-fix) words='none left right mix invert' ;;
    --audio-layout) words='original mono stereo 5.1 7.1' ;;
    --upmix) words='none simple surround prologic demucs' ;;
    --lfe-crossover) return ;;
    --centre-mix) return ;;
    --surround-delay) return ;;
    --loudness) return ;;
    --true-peak) return ;;
    --loudness-range) return ;;
    --audio-shift) return ;;
    --audio-drift) return ;;
    --preset) words=$(terminalai presets --names 2>/dev/null) ;;
    --container) words='auto mkv mp4 mov webm' ;;
    --output-template) return ;;
    --downloader) files=1 ;;
    --download-dir) files=1 ;;
    --download-limit) return ;;
    --download-time) return ;;
    --download-allow) return ;;
    --preview) return ;;
    --progress) words='auto line json none' ;;
    --log-level) words='error warning info verbose debug' ;;
    --notifications) files=1 ;;
    --threads) return ;;
    --work-dir) files=1 ;;
    --segment) return ;;
    --jobs) return ;;
    --memory-limit) return ;;
    --disk-wait) return ;;
    --reserve) return ;;
    --temp-limit) return ;;
    -o|--output) files=1 ;;
    *)
        if ((COMP_CWORD == 1)); then
            words='restore batch queue work plan run-segment finish status verify metrics compare presets models notify settings doctor sample completion help version'
        elif [[ $cur == -* ]]; then
            words='--help --start --end --split --field-order --sd-width --colour-space --colour-range --audio-tracks --subtitles --deinterlace --deinterlace-frames --field-rate --vfr --no-vfr --ivtc --crop --head-switching --chroma-shift-x --chroma-shift-y --dedot --no-dedot --deblock --denoise --denoise-strength --deband --contrast --brightness --saturation --gamma --colour-balance --levels --lut --lut-strength --engine --resolution --scaler --upscale-model --tile --tile-overlap --tile-tolerance --neural-engine --neural-device --neural-precision --square-pixels --no-square-pixels --sharpen --sharpen-strength --face-restore --face-model --face-strength --face-fidelity --face-upscale --face-detector --hdr --hdr-peak --encoder --crf --quality --encoder-preset --encoder-options --encoder-threads --bit-depth --audio-codec --audio-bitrate --declick --declip --dehum --speech-denoise --speech-model --speech-limit --speech-post-filter --speech-channels --speech-guard --audio-enhance --noise-floor --channel-fix --audio-layout --upmix --lfe-crossover --centre-mix --surround-delay --normalize --no-normalize --loudness --true-peak --limiter --no-limiter --loudness-range --audio-shift --audio-drift --preset --container --output-template --overwrite --no-overwrite --sidecar --no-sidecar --downloader --download-dir --download-limit --download-time --download-allow --dry-run --no-dry-run --preview --yes --no-yes --progress --log-level --log-json --no-log-json --notifications --threads --work-dir --segment --jobs --memory-limit --disk-wait --restart --no-restart --reserve --temp-limit --keep-temp --no-keep-temp'
        else
            files=1
        fi ;;
    esac
    if [[ $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    fi
}
complete -F _terminalai terminalai
