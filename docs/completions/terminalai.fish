# Completion of terminalai for fish.
complete -c terminalai -n __fish_use_subcommand -f -a restore
complete -c terminalai -n __fish_use_subcommand -f -a batch
complete -c terminalai -n __fish_use_subcommand -f -a queue
complete -c terminalai -n __fish_use_subcommand -f -a work
complete -c terminalai -n __fish_use_subcommand -f -a plan
complete -c terminalai -n __fish_use_subcommand -f -a run-segment
complete -c terminalai -n __fish_use_subcommand -f -a finish
complete -c terminalai -n __fish_use_subcommand -f -a status
complete -c terminalai -n __fish_use_subcommand -f -a verify
complete -c terminalai -n __fish_use_subcommand -f -a metrics
complete -c terminalai -n __fish_use_subcommand -f -a compare
complete -c terminalai -n __fish_use_subcommand -f -a presets
complete -c terminalai -n __fish_use_subcommand -f -a models
complete -c terminalai -n __fish_use_subcommand -f -a notify
complete -c terminalai -n __fish_use_subcommand -f -a settings
complete -c terminalai -n __fish_use_subcommand -f -a doctor
complete -c terminalai -n __fish_use_subcommand -f -a sample
complete -c terminalai -n __fish_use_subcommand -f -a completion
complete -c terminalai -n __fish_use_subcommand -f -a help
complete -c terminalai -n __fish_use_subcommand -f -a version
complete -c terminalai -s h -l help -d 'Explains the verb'
complete -c terminalai -l start -x -d 'First moment to keep, exact to the frame, counted from the start of the file'
complete -c terminalai -l end -x -d 'First moment not to keep, exact to the frame'
complete -c terminalai -l split -x -d 'Cut the input into parts, each an output of its own, exact to the frame: at times, chapters, changes of scene (their least strength), in black picture with silence (its least seconds; drop leaves it out), or without the blue screen of a VCR'
complete -c terminalai -l field-order -x -a 'auto tff bff progressive' -d 'Order of the fields; auto trusts the file\'s flags after checking them by measurement'
complete -c terminalai -l sd-width -x -a '704 720' -d 'Width that 4:3 or 16:9 fills in a 720 wide SD picture: the centre 704, or all 720'
complete -c terminalai -l colour-space -x -a 'auto bt601-525 bt601-625 bt709 bt2020' -d 'Colour space of the input; auto keeps the file\'s tags and guesses only what is untagged'
complete -c terminalai -l colour-range -x -a 'auto limited full' -d 'Range of the input\'s values; auto keeps the file\'s tag'
complete -c terminalai -l audio-tracks -x -d 'Audio tracks to keep, counted from 0; =codec chooses a codec for one track'
complete -c terminalai -l subtitles -x -a 'copy none' -d 'Subtitle tracks: copied where the container can hold them'
complete -c terminalai -l deinterlace -x -a 'auto off yadif bwdif w3fdif estdif qtgmc' -d 'Deinterlacer; auto is bwdif where the picture is interlaced'
complete -c terminalai -l deinterlace-frames -x -a 'auto all flagged' -d 'Which frames: all, those flagged interlaced, or auto (measured)'
complete -c terminalai -l field-rate -x -a 'double single' -d 'One frame a field (59.94 or 50 a second) or one a frame'
complete -c terminalai -l vfr -d 'Keep progressive frames once instead of showing them twice at the constant field rate'
complete -c terminalai -l no-vfr
complete -c terminalai -l ivtc -x -a 'off on' -d 'Inverse telecine: field matching and decimation back to 24 frames a second'
complete -c terminalai -l crop -x -d 'Cut the sides of the picture; auto finds black borders'
complete -c terminalai -l head-switching -x -d 'Lines to cut at the bottom, where a VCR switches its heads'
complete -c terminalai -l chroma-shift-x -x -d 'Moves the colour to the right (or left, negative) against the luma'
complete -c terminalai -l chroma-shift-y -x -d 'Moves the colour down (or up, negative) against the luma'
complete -c terminalai -l dedot -d 'Removes dot crawl and rainbows of composite video'
complete -c terminalai -l no-dedot
complete -c terminalai -l deblock -x -a 'off weak strong' -d 'Smooths block edges of heavy compression'
complete -c terminalai -l denoise -x -a 'off hqdn3d atadenoise nlmeans' -d 'Denoiser'
complete -c terminalai -l denoise-strength -x -d 'Strength of the denoiser; hqdn3d takes luma-spatial:chroma-spatial:luma-temporal:chroma-temporal'
complete -c terminalai -l deband -x -a 'off weak standard strong' -d 'Smooths visible steps in gradients'
complete -c terminalai -l contrast -x -d 'Contrast, 1 changes nothing'
complete -c terminalai -l brightness -x -d 'Brightness, 0 changes nothing'
complete -c terminalai -l saturation -x -d 'Saturation, 1 changes nothing'
complete -c terminalai -l gamma -x -d 'Gamma, 1 changes nothing'
complete -c terminalai -l colour-balance -x -d 'Shifts the colour of shadows, midtones and highlights'
complete -c terminalai -l levels -x -d 'Maps a range of RGB values to another'
complete -c terminalai -l lut -r -d '3D look-up table'
complete -c terminalai -l lut-strength -x -d 'How much of the look-up table is mixed in'
complete -c terminalai -l engine -x -a 'auto classic realesrgan rtxvideo' -d 'What makes the picture larger; auto is classic on a machine without a suitable GPU'
complete -c terminalai -l resolution -x -d 'Size of the output'
complete -c terminalai -l scaler -x -a 'lanczos bicubic bilinear spline neighbor' -d 'Kernel of the classic scaler'
complete -c terminalai -l upscale-model -x -d 'Model that enlarges the picture; a file takes and gives RGB from 0 to 1 as 1x3xHxW'
complete -c terminalai -l tile -x -d 'Side of the tiles in which a model computes a picture, without what it sees around them; 0 chooses by the picture and the model'
complete -c terminalai -l tile-overlap -x -d 'What a model sees around a tile; -1 is all that reaches into it, so that no seam can be seen or measured'
complete -c terminalai -l tile-tolerance -x -d 'A tile that changed by no more than this, of 255, keeps its result; 0 keeps only what didn\'t change at all'
complete -c terminalai -l neural-engine -x -a 'auto openvino onnxruntime' -d 'Library that runs models; auto is OpenVINO on the CPU and ONNX Runtime on other devices'
complete -c terminalai -l neural-device -x -a 'cpu cuda tensorrt' -d 'What models run on, never replaced by another; cuda and tensorrt want an NVIDIA GPU and the package onnxruntime-gpu'
complete -c terminalai -l neural-precision -x -a 'auto fp32 bf16' -d 'Numbers that models compute with; auto is bf16 where the engine is OpenVINO and the CPU has instructions for it, which takes half the time, else fp32'
complete -c terminalai -l square-pixels -d 'Output square pixels; no keeps the source\'s sample aspect ratio'
complete -c terminalai -l no-square-pixels
complete -c terminalai -l sharpen -x -a 'off cas unsharp' -d 'Sharpener'
complete -c terminalai -l sharpen-strength -x -d 'Strength of the sharpener'
complete -c terminalai -l face-restore -x -a 'off gfpgan codeformer' -d 'Restores faces with a neural model that you bring, of this kind'
complete -c terminalai -l face-model -x -d 'Model that restores faces, of the kind that face-restore names; empty is the one imported under that name'
complete -c terminalai -l face-strength -x -d 'How much of the restored face is blended in; 0 leaves every sample as it is'
complete -c terminalai -l face-fidelity -x -d 'CodeFormer\'s dial: 0 makes the better picture, 1 stays nearer to the person'
complete -c terminalai -l face-upscale -x -a '1 2 4' -d 'Makes the picture this many times as large before faces are put in, so that they keep more of the model\'s detail; resolution=source then keeps that size'
complete -c terminalai -l face-detector -x -d 'Model that finds faces; one that gives five points of a face as well lets tilted faces be restored upright'
complete -c terminalai -l hdr -x -a 'sdr hdr10 hlg' -d 'Output standard dynamic range, or HDR10 or HLG in BT.2020 with 10 bits'
complete -c terminalai -l hdr-peak -x -d 'Peak brightness written as mastering metadata'
complete -c terminalai -l encoder -x -a 'libx264 libx265 libsvtav1 ffv1 h264_nvenc hevc_nvenc h264_vaapi hevc_vaapi h264_qsv hevc_qsv' -d 'Video encoder'
complete -c terminalai -l crf -x -d 'Constant quality: lower is better and larger'
complete -c terminalai -l quality -x -a 'best fast' -d 'Effort of the encoder where encoder-preset is auto: best takes about twice as long'
complete -c terminalai -l encoder-preset -x -d 'The encoder\'s speed preset'
complete -c terminalai -l encoder-options -x -d 'More options of the encoder, by its own names'
complete -c terminalai -l encoder-threads -x -d 'Encoder threads; part of the job, as they change the encoder\'s output'
complete -c terminalai -l bit-depth -x -a 'auto 8 10' -d 'Bits a sample; auto is the source\'s, 8 where the encoder has no more'
complete -c terminalai -l audio-codec -x -a 'aac ac3 eac3 dts flac pcm opus copy' -d 'Audio codec; copy keeps the packets as they are'
complete -c terminalai -l audio-bitrate -x -d 'Bit rate of a track; auto is 192k for stereo, 96k for mono, 640k for 5.1, 768k for 7.1; for dts 768k, 384k and 1536k'
complete -c terminalai -l declick -x -a 'off on' -d 'Takes out clicks and crackle: samples that don\'t follow from those around them are replaced, all others stay'
complete -c terminalai -l declip -x -a 'off on' -d 'Rounds off peaks that were cut in recording; slow where much is cut'
complete -c terminalai -l dehum -x -a 'off auto 50 60' -d 'Notches at the mains frequency and its harmonics; auto measures whether there is hum, and where'
complete -c terminalai -l speech-denoise -x -a 'off rnnoise deepfilternet gtcrn' -d 'Neural denoiser for speech, which damages music: deepfilternet is the best, gtcrn keeps nothing above 8 kHz, rnnoise costs least'
complete -c terminalai -l speech-model -x -d 'Model of the speech denoiser instead of the one of `terminalai models`'
complete -c terminalai -l speech-limit -x -d 'Most by which the speech denoiser lowers anything: 12 to 20 keep some of the room, 100 is no limit'
complete -c terminalai -l speech-post-filter -x -d 'Lowers what is mostly noise a little more than the model does; 0.02 is a usual value, 0 is off'
complete -c terminalai -l speech-channels -x -a 'each linked' -d 'Each channel on its own, or one filter, found on their mean, for all: the stereo image stays and it takes the time of one channel'
complete -c terminalai -l speech-guard -x -a 'off warn skip' -d 'Where the sound is like music rather than speech: warn, or skip the speech denoiser'
complete -c terminalai -l audio-enhance -x -a 'none light moderate aggressive voice music report-light report-moderate deepfilternet' -d 'Clean-up chain'
complete -c terminalai -l noise-floor -x -d 'Noise floor of the spectral denoiser; auto is the chain\'s own'
complete -c terminalai -l channel-fix -x -a 'none left right mix invert' -d 'Repairs the channels of a stereo track: the left or right one on both sides, both mixed, or the right one inverted'
complete -c terminalai -l audio-layout -x -a 'original mono stereo 5.1 7.1' -d 'Channel layout of the output'
complete -c terminalai -l upmix -x -a 'none simple surround prologic demucs' -d 'How stereo becomes 5.1 or 7.1'
complete -c terminalai -l lfe-crossover -x -d 'Upper edge of the bass channel'
complete -c terminalai -l centre-mix -x -d 'Share of the centre channel in a down-mix, and of the sides in an up-mix\'s centre'
complete -c terminalai -l surround-delay -x -d 'Delay of the surround channels'
complete -c terminalai -l normalize -d 'Brings the finished track to the target loudness with one gain'
complete -c terminalai -l no-normalize
complete -c terminalai -l loudness -x -d 'Target integrated loudness (EBU R128: -23)'
complete -c terminalai -l true-peak -x -d 'Highest true peak that the gain may reach'
complete -c terminalai -l limiter -d 'Reach the target loudness even where peaks must be limited'
complete -c terminalai -l no-limiter
complete -c terminalai -l loudness-range -x -d 'Highest loudness range that the limiter leaves'
complete -c terminalai -l audio-shift -x -d 'Moves the sound later (or earlier, negative) against the picture'
complete -c terminalai -l audio-drift -x -d 'Stretches the sound (negative shrinks it) to mend a clock error: 1000 is 3.6 s in an hour'
complete -c terminalai -l preset -x -a '(terminalai presets --names 2>/dev/null)' -d 'Preset to start from'
complete -c terminalai -l container -x -a 'auto mkv mp4 mov webm' -d 'Container; auto goes by the output\'s extension, else mkv'
complete -c terminalai -l output-template -x -d 'File name where the output is a folder; the extension is the container\'s; {number} counts the parts of split'
complete -c terminalai -l overwrite -d 'Replace an existing output'
complete -c terminalai -l no-overwrite
complete -c terminalai -l sidecar -d 'Write a JSON file with hashes, settings and findings beside the output'
complete -c terminalai -l no-sidecar
complete -c terminalai -l downloader -r -d 'The yt-dlp program or wheel that finds a film in a page of the web; by default the one of `terminalai models install yt-dlp`, else yt-dlp in PATH'
complete -c terminalai -l download-dir -r -d 'Folder in which downloads are kept; by default the output\'s'
complete -c terminalai -l download-limit -x -d 'Most that a download may load from the web'
complete -c terminalai -l download-time -x -d 'Longest time that a download may take'
complete -c terminalai -l download-allow -x -d 'Servers that a download may reach although their addresses are private: a media server at home'
complete -c terminalai -l dry-run -d 'Show the plan, the estimated time, memory and disk, and do nothing'
complete -c terminalai -l no-dry-run
complete -c terminalai -l preview -x -d 'Restore only a piece, with a before/after PNG beside it'
complete -c terminalai -l yes -d 'Go on where a job is expected to take more than 24 hours'
complete -c terminalai -l no-yes
complete -c terminalai -l progress -x -a 'auto line json none' -d 'How progress is shown; auto is a line on a terminal, else nothing'
complete -c terminalai -l log-level -x -a 'error warning info verbose debug' -d 'Least level of messages that is shown'
complete -c terminalai -l log-json -d 'Messages as JSON lines'
complete -c terminalai -l no-log-json
complete -c terminalai -l notifications -r -d 'YAML file of the channels that are told when a job ends; by default notifications.yaml beside your configuration'
complete -c terminalai -l threads -x -d 'Threads for decoding and filters, 0 = by the machine; never changes the result'
complete -c terminalai -l work-dir -r -d 'Folder for temporary sound; by default the job folder beside the output'
complete -c terminalai -l segment -x -d 'Length of the segments in which a long job is done, so that it can go on after a kill or a power cut; 0 does it in one piece'
complete -c terminalai -l jobs -x -d 'Segments done at once; auto adds one while CPUs are idle; never changes the result'
complete -c terminalai -l memory-limit -x -d 'No further segment is begun beside others where memory would grow over this, 0 = three quarters of what is free'
complete -c terminalai -l disk-wait -x -d 'How long a job in segments pauses for disk space before it ends with code 75'
complete -c terminalai -l restart -d 'Throw away what another run with other settings or another source left for this output'
complete -c terminalai -l no-restart
complete -c terminalai -l reserve -x -d 'Free disk space that is never used up'
complete -c terminalai -l temp-limit -x -d 'Most bytes of temporary files, 0 = no limit'
complete -c terminalai -l keep-temp -d 'Keep the job folder after the end, to look into'
complete -c terminalai -l no-keep-temp
